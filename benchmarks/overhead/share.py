"""What the driver itself takes: its share of a real study.

    python -m benchmarks.overhead.share --out share.json

The digits example is run with a store of its own. Of the search loop's wall time, all that is no stage counts
as the driver: proposing, judging, reading and syncing the store, Optuna's storage. A stage is the making of
an entry of the store (train, export, compile, score, measure), also where it came to nothing: a training that
was given up, a precision that the compiler refused. Left out are imports, checks of the workload, the
teacher's training and the finalists.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch are loaded

import yaml
from paretune.search.record.candidate import Candidate
from paretune.search.record.progress import Progress
from paretune.search.run.session import run_study
from paretune.search.store.store import Entry, Store

from benchmarks.command import finish, parser_of

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
STUDY, WORKLOAD = "digits.yaml", "digits.py"
GOAL_SHARE = 0.02
Stage = tuple[str, float, float]
"""Its name, when it began and when it ended."""


class _Window(Progress):
    """When the search loop began (its first trial) and ended (its last one was told and counted)."""

    def __init__(self) -> None:
        self.begun = self.ended = 0.0
        self.trials = 0

    def started(self, number: int, candidate: Candidate) -> None:
        self.begun = self.begun or time.time()

    def budget(self, evaluated: int, trials: int | None, elapsed: float, seconds: float | None) -> None:
        self.trials, self.ended = self.trials + 1, time.time()


def share_of_driver(options: argparse.Namespace) -> dict[str, Any]:
    window = _Window()
    with TemporaryDirectory() as name, warnings.catch_warnings(), stages_timed() as ran:
        warnings.simplefilter("ignore")
        shutil.copy(EXAMPLES / WORKLOAD, name)
        study = yaml.safe_load((EXAMPLES / STUDY).read_text())
        study.update(budget={"trials": options.trials}, stop="never", finalists=1)
        path = Path(name) / STUDY
        path.write_text(yaml.safe_dump(study))
        run_study(path, window)
    stages = [stage for stage in ran if window.begun <= stage[1] and stage[2] <= window.ended]
    by_stage: Counter[str] = Counter()
    for stage, start, end in stages:
        by_stage[stage] += end - start
    wall = window.ended - window.begun
    driver = wall - covered((start, end) for _, start, end in stages)
    return {
        "trials": window.trials,
        "wall_s": wall,
        "stages_s": by_stage,
        "driver_s": driver,
        "driver_share": driver / wall,
        "driver_per_trial_s": driver / window.trials,
    }


@contextmanager
def stages_timed() -> Iterator[list[Stage]]:
    """All stages that stores are asked to make meanwhile."""
    ran: list[Stage] = []
    produce = Store.produce

    def timed(
        self: Store, stage: str, key: str, provenance: Mapping[str, Any], make: Callable[[Path], Any]
    ) -> Entry:
        def made(into: Path) -> Any:
            begun = time.time()
            try:
                return make(into)
            finally:
                ran.append((stage, begun, time.time()))

        return produce(self, stage, key, provenance, made)

    with patch.object(Store, "produce", timed):
        yield ran


def covered(intervals: Iterable[tuple[float, float]]) -> float:
    """Seconds that at least one of the intervals covers."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total


def show(found: dict[str, Any]) -> None:
    stages = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in sorted(found["stages_s"].items()))
    share, each = found["driver_share"], 1e3 * found["driver_per_trial_s"]
    print(f"{found['trials']} trials in {found['wall_s']:.1f} s: {stages}; the driver {each:.0f} ms a trial")
    verdict = "met" if share <= GOAL_SHARE else "MISSED"
    print(f"{verdict}: share of the driver {100 * share:.1f} %, goal {100 * GOAL_SHARE:g} %")


def main(argv: list[str] | None = None) -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--trials", type=int, default=12, help="budget of the study")
    return finish(share_of_driver, parser.parse_args(argv), show)


if __name__ == "__main__":
    sys.exit(main())
