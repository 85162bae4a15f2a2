"""A study of seconds, on the backend of the tests, for faults that want hundreds of them."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.faults.site import Site
from benchmarks.faults.warm import Warm

TESTS = str(Path(__file__).resolve().parents[2] / "tests")
if TESTS not in sys.path:
    sys.path.append(TESTS)
os.environ.setdefault("PARETUNE_TOY", "1")

ENVIRONMENT = {"PARETUNE_TOY": "1", "PYTHONPATH": TESTS}


def toy_study(**changes: Any) -> dict[str, Any]:
    """What its file says."""
    from study.conftest import STUDY

    space = {**STUDY["space"], "distill": {"weight": [0.7]}}
    brief = {"epochs": 2, "finetune_epochs": 1, "learning_rate": 0.01, "batch": 32}
    return {**STUDY, "space": space, "training": brief, "budget": {"trials": 4}, "finalists": 1, **changes}


def toy_site(folder: Path, warm: Warm | None = None, **changes: Any) -> Site:
    """A folder with the workload and the study."""
    from study.conftest import WORKLOAD

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "blobs.py").write_text(WORKLOAD)
    return Site(folder, folder / "log", toy_study(**changes), warm)


def copied(site: Site, folder: Path) -> Site:
    """The same on a copy of what lies on disk."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(site.folder, folder)
    return Site(folder, folder / "log", {**toy_study(), "name": site.study.stem}, site.warm)


def aged(site: Site, days: float) -> None:
    """Let the store look as if nobody had asked for anything in so long."""
    then = time.time() - days * 86_400
    for path in [*site.store.glob("*/*"), *site.store.glob(".locks/*"), *site.store.glob(".work/**/*")]:
        os.utime(path, (then, then), follow_symlinks=False)


def with_junk(site: Site, count: int, seed: int, days: float = 0.0) -> list[Path]:
    """Entries that no run needs, of which nobody has asked for in so many days."""
    from paretune.search.store.store import Store, content_key

    store, then, made = Store(site.store), time.time() - days * 86_400, []
    for number in range(count):
        key = content_key("export", 0, {"junk": number, "seed": seed})
        made.append(store.produce("export", key, {}, lambda into: _junk(into)).path)
        for path in (made[-1], site.store / ".locks" / f"export.{key}"):
            os.utime(path, (then, then))
    return made


def _junk(into: Path) -> dict[str, Any]:
    (into / "model.toy").write_bytes(bytes(1000))
    return {"file": "model.toy", "format": "toy"}
