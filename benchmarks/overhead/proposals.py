"""Seconds per proposal of each sampler in studies that were told so many trials."""

from __future__ import annotations

import gc
import math
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

from optuna.samplers import BaseSampler, RandomSampler
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Outcome, TrialRecord
from paretune.search.record.progress import Progress
from paretune.search.run.budget import Budget, StopFlag
from paretune.search.run.search import Search

from benchmarks.command import tell
from benchmarks.overhead.made_up import History, evaluator_of, told
from benchmarks.simulation.recorded import Recorded
from benchmarks.simulation.search import OURS, driver_on, our_search, tpe

SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": tpe,
    "random": lambda seed: RandomSampler(seed=seed),
}
NAMES = (OURS, *SAMPLERS)
Seconds = tuple[float, float]
"""By the clock, and of the processor, which other work on the machine hardly touches."""


class Proposing(Progress):
    """Takes the time from the end of a trial to the beginning of the next one that is trained. What the gate
    stops on the way is no round of its own: the time to propose it counts, the time to judge it does not.
    Where a sampler proposed what is known, the time is shared among its proposals."""

    def __init__(self, stop: StopFlag, wanted: int, trials: int) -> None:
        self.stop, self.wanted, self.asked, self.known = stop, wanted, trials, 0
        self.rounds: list[Seconds] = []
        self._wall = self._cpu = 0.0
        self._since = self._now()

    def begin(self) -> None:
        self._since = self._now()

    def started(self, number: int, candidate: Candidate) -> None:
        (wall, cpu), (now, cpu_now) = self._since, self._now()
        self._wall += now - wall
        self._cpu += cpu_now - cpu
        self.known += number - self.asked
        self.asked = number + 1

    def finished(self, record: TrialRecord) -> None:
        """Its evaluation was told; a stop is asked for after so many that were trained."""
        if record.evaluation.outcome is Outcome.COMPLETE:
            proposals = 1 + self.known
            self.rounds.append((self._wall / proposals, self._cpu / proposals))
            self._wall = self._cpu = self.known = 0
        if len(self.rounds) >= self.wanted:
            self.stop.request()

    def budget(self, evaluated: int, trials: int | None, elapsed: float, seconds: float | None) -> None:
        self.begin()

    @staticmethod
    def _now() -> Seconds:
        return time.perf_counter(), time.process_time()


def time_proposals(
    table: Recorded, sizes: Sequence[int], names: Sequence[str], *, rounds: int, repeats: int
) -> dict[str, dict[str, Any]]:
    """Sampler -> number of trials told -> medians in seconds. The samplers take turns."""
    found: dict[str, dict[str, Any]] = {name: {} for name in names}
    for size in sizes:
        taken: dict[str, list[list[Seconds]]] = {name: [] for name in names}
        for seed in range(repeats):
            history = told(table, size, seed)
            for name, mine in taken.items():
                mine.append(time_one(history, name, seed, rounds))
            tell(f"{size} trials, repeat {seed + 1} of {repeats}")
        for name, mine in taken.items():
            later = [seconds for each in mine for seconds in each[1:]]
            found[name][str(size)] = {
                "propose_s": median(wall for wall, _ in later),
                "cpu_s": median(cpu for _, cpu in later),
                "first_s": median(each[0][0] for each in mine),
                "rounds": len(later),
            }
    return found


def time_one(history: History, name: str, seed: int, rounds: int) -> list[Seconds]:
    """Let the driver go on in a study with this history: wall and processor seconds of the first proposal and
    of so many after it. Evaluations come from the table at once."""
    ours, stop = name == OURS, StopFlag()
    # What ours learns from is the state of its own study; the others only need their trials answered.
    evaluator = history.evaluator if ours else evaluator_of(history.table)
    search = (
        our_search(history.table, evaluator, history.gate, seed) if ours else Search(SAMPLERS[name](seed))
    )
    timer = Proposing(stop, 1 + rounds, len(history.trials))
    with _quiet():
        budget = Budget(trials=None, seconds=None, stop=stop, clock=evaluator.now)
        driver = driver_on(history.table, evaluator, search, budget, timer, seed, past=history.trials)
        timer.begin()
        driver.run()
    return timer.rounds


def growth(found: dict[str, Any], few: int, many: int) -> float:
    """The power of the number of trials with which the time per proposal grows between two sizes."""
    seconds = [found[str(size)]["propose_s"] for size in (few, many)]
    return math.log(seconds[1] / seconds[0]) / math.log(many / few)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's warnings of what it calls experimental, and without a collection in a timed part."""
    gc.collect()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        gc.enable()
