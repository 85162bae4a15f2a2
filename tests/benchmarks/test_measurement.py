"""The measurement benchmark runs end to end, writes what it promises, and goes on where it was ended."""

import json

import pytest

from benchmarks.measurement import main

pytestmark = pytest.mark.alone


@pytest.mark.slow
def test_the_benchmark_writes_its_figures(tmp_path, capsys):
    out = tmp_path / "figures.json"
    few = ["--out", str(out), "--repeats", "2", "--aa", "2", "--finalists", "2", "--seconds", "0.1"]
    assert main([*few, "--parts", "pinned"]) == 0
    first = json.loads(out.read_text())["parts"]["pinned"]
    assert main(few) == 0
    found = json.loads(out.read_text())
    assert found["parts"]["pinned"] == first, "what was finished is not done again"
    assert {part: one["trials"] for part, one in found["aa"].items()} == {
        "pinned": 2, "unpinned": 2, "two-threads": 2, "finalists": 2,
    }  # fmt: skip
    assert len(found["aa"]["pinned"]["cores"]) == 1
    assert found["aa"]["unpinned"]["cores"] == []
    for way in ("ratio", "sequential_mean", "sequential_median", "sequential_minimum"):
        assert found["ways"][f"{way}_sd_percent"] > 0
    assert "A/A" in capsys.readouterr().out
