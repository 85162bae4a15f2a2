"""The lines that users copy run as they stand."""

import re
from pathlib import Path

import numpy as np
import paretune

PAGE = Path(paretune.__file__).resolve().parent / "docs" / "monitoring.md"


def test_the_page_records_what_it_says(shipped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("monitor.py", "monitor.json"):
        (tmp_path / name).write_text((shipped.folder / name).read_text())
    monkeypatch.setitem(__import__("sys").modules, "monitor", shipped.module)
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    requests = [{"x": np.zeros((1, 6), np.float32)} for _ in range(5)]
    exec(code, {"requests": requests, "model": lambda inputs: {"y": np.eye(4, dtype=np.float32)[3:, 1:]}})
    _, (window,) = shipped.module.read_log("monitor.log")
    assert window["numbers"]["calls"] == 5
    assert window["quality"][0] == 1
