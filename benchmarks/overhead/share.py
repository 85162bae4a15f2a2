"""What the driver itself takes: its share of a real study."""

from __future__ import annotations

import shutil
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from paretune.search.record.candidate import Candidate
from paretune.search.record.progress import Progress
from paretune.search.run.session import run_study
from paretune.search.store.store import Entry, Store

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
STUDY, WORKLOAD = "digits.yaml", "digits.py"

Interval = tuple[float, float]
Make = Callable[[Path], Mapping[str, Any]]


@dataclass
class _Window(Progress):
    """When the search loop began (its first trial) and ended (the finalists, or the last trial)."""

    begun: float = 0.0
    ended: float = 0.0
    closed: bool = False
    trials: int = 0

    def started(self, number: int, candidate: Candidate) -> None:
        """The loop begins with its first trial."""
        self.begun = self.begun or time.time()

    def budget(self, evaluated: int, trials: int | None, elapsed: float, seconds: float | None) -> None:
        """A trial was told and counted."""
        self.trials += 1
        if not self.closed:
            self.ended = time.time()

    def note(self, text: str) -> None:
        """The finalists come after the loop has ended and what it learned is kept."""
        if self.begun and "finalists" in text and not self.closed:
            self.ended, self.closed = time.time(), True


def share_of_driver(trials: int) -> dict[str, Any]:
    """Run the digits example with a store of its own; of the search loop's wall time, what was no stage.

    Left out are imports, checks of the workload, the teacher's training and the finalists. A stage is the
    making of an entry of the store (train, export, compile, score, measure), also where it came to nothing: a
    training that was given up, a precision that the compiler refused. All else is the driver: proposing,
    judging, reading and syncing the store, Optuna's storage.
    """
    with TemporaryDirectory() as name:
        base = Path(name)
        shutil.copy(EXAMPLES / WORKLOAD, base)
        study = yaml.safe_load((EXAMPLES / STUDY).read_text())
        study.update(budget={"trials": trials}, stop="never", finalists=1)
        path = base / STUDY
        path.write_text(yaml.safe_dump(study))
        window = _Window()
        with warnings.catch_warnings(), stages_timed() as ran:
            warnings.simplefilter("ignore")
            run_study(path, window)
    stages = [(stage, _within(interval, window)) for stage, interval in ran]
    wall = window.ended - window.begun
    busy = covered(interval for _, interval in stages)
    by_stage: dict[str, float] = {}
    for stage, (start, end) in stages:
        if end > start:
            by_stage[stage] = by_stage.get(stage, 0.0) + end - start
    return {
        "trials": window.trials,
        "wall_s": wall,
        "stages_s": by_stage,
        "driver_s": wall - busy,
        "driver_share": (wall - busy) / wall,
        "driver_per_trial_s": (wall - busy) / max(1, window.trials),
    }


@contextmanager
def stages_timed() -> Iterator[list[tuple[str, Interval]]]:
    """Stage, and from when to when it ran, of all that stores are asked to make meanwhile."""
    ran: list[tuple[str, Interval]] = []
    produce = Store.produce

    def timed(self: Store, stage: str, key: str, provenance: Mapping[str, Any], make: Make) -> Entry:
        def made(into: Path) -> Mapping[str, Any]:
            begun = time.time()
            try:
                return make(into)
            finally:
                ran.append((stage, (begun, time.time())))

        return produce(self, stage, key, provenance, made)

    Store.produce = timed  # type: ignore[method-assign]
    try:
        yield ran
    finally:
        Store.produce = produce  # type: ignore[method-assign]


def _within(interval: Interval, window: _Window) -> Interval:
    start, end = interval
    return max(start, window.begun), min(end, window.ended)


def covered(intervals: Iterable[Interval]) -> float:
    """Seconds that at least one of the intervals covers."""
    total, reached = 0.0, float("-inf")
    for start, end in sorted(intervals):
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total
