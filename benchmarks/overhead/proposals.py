"""What a proposal takes: seconds of each sampler in studies of many trials.

    python -m benchmarks.overhead.proposals --out proposals.json

Studies are told 100, 1,000 and 10,000 trials (each through evaluator, gate and `StudyStore.tell`, as a real
study writes them), then the driver goes on in them. Measured is all from the end of a trial until the
candidate that is trained next is known; for ours the measurements that it asks for are answered at once, and
what the gate stops on the way counts as well. `first` is the first proposal after a resume, in which ours
takes in every trial.

With --workers N our driver of many goes on in them too: seconds of the driver for each result of N simulated
workers, once each has brought one.

Two made-up searches: `deployment` (18,850 candidates: students, sparsity, recipe, precision, calibration, two
backends; accuracy, latency and size) and `architectures` (15,625; accuracy and latency).
"""

from __future__ import annotations

import argparse
import gc
import math
import os
import sys
import time
from collections.abc import Sequence
from copy import deepcopy
from statistics import median
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch are loaded

from paretune.search.driver.budget import Budget, StopFlag
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Outcome, TrialRecord
from paretune.search.record.progress import Progress

from benchmarks.command import check_names, finish, names, parser_of, sizes, tell
from benchmarks.overhead.made_up import TABLES, History, told
from benchmarks.simulation.recorded import Recorded
from benchmarks.simulation.search import DRIVEN, OURS, Way, at_random, driver_on, tpe, without_gate
from benchmarks.simulation.workers import SimulatedWorkers

SAMPLERS: dict[str, Way] = {
    OURS: DRIVEN[OURS],
    "tpe": without_gate(tpe),
    "random": without_gate(at_random),
}
GOAL_SECONDS, GOAL_AT = 0.015, 1000
GOAL_GROWTH = 1.2
"""The most that counts as near to linear."""


class Proposing(Progress):
    """Takes the time from the end of a trial to the beginning of the next one that is trained. What the gate
    stops on the way is no round of its own: the time to propose it counts, the time to judge it does not.
    Where a sampler proposed what is known, the time is shared among its proposals."""

    def __init__(self, stop: StopFlag, wanted: int, trials: int) -> None:
        self.stop, self.wanted, self.asked, self.known = stop, wanted, trials, 0
        self.rounds: list[float] = []
        self._seconds = self._since = 0.0

    def begin(self) -> None:
        self._since = time.process_time()

    def started(self, number: int, candidate: Candidate) -> None:
        self._seconds += time.process_time() - self._since
        self.known += number - self.asked
        self.asked = number + 1

    def finished(self, record: TrialRecord) -> None:
        """Its evaluation was told; a stop is asked for after so many that were trained."""
        if record.evaluation.outcome is Outcome.COMPLETE:
            self.rounds.append(self._seconds / (1 + self.known))
            self._seconds = self.known = 0
        if len(self.rounds) >= self.wanted:
            self.stop.request()

    def budget(self, evaluated: int, trials: int | None, elapsed: float, seconds: float | None) -> None:
        self.begin()


def time_proposals(
    table: Recorded, counts: Sequence[int], samplers: Sequence[str], *, rounds: int, repeats: int
) -> dict[str, dict[str, Any]]:
    """Sampler -> number of trials told -> medians in seconds. The samplers take turns."""
    found: dict[str, dict[str, Any]] = {name: {} for name in samplers}
    for size in counts:
        taken: dict[str, list[list[float]]] = {name: [] for name in samplers}
        for seed in range(repeats):
            history = told(table, size, seed)
            for name, mine in taken.items():
                mine.append(time_one(history, name, seed, rounds))
            tell(f"{size} trials, repeat {seed + 1} of {repeats}")
        for name, mine in taken.items():
            later = [seconds for each in mine for seconds in each[1:]]
            found[name][str(size)] = {
                "propose_s": median(later),
                "first_s": median(each[0] for each in mine),
                "rounds": len(later),
            }
    return found


def time_one(history: History, name: str, seed: int, rounds: int) -> list[float]:
    """Let the driver go on in a study with this history: seconds of the first proposal and of so many after
    it. Evaluations come from the table at once."""
    stop, evaluator = StopFlag(), deepcopy(history.evaluator)  # every sampler finds it as it was told
    search = SAMPLERS[name](seed, history.table, evaluator)
    timer = Proposing(stop, 1 + rounds, len(history.trials))
    budget = Budget(trials=None, seconds=None, stop=stop, clock=evaluator.now)
    driver = driver_on(history.table, evaluator, search, budget, timer, seed, past=history.trials)
    gc.collect()
    gc.disable()  # no collection in a timed part
    try:
        timer.begin()
        driver.run()
    finally:
        gc.enable()
    return timer.rounds


class Steady(Progress):
    """Takes the time of so many results once every worker has brought one."""

    def __init__(self, stop: StopFlag, workers: int, wanted: int) -> None:
        self.stop, self.workers, self.wanted, self.results = stop, workers, wanted, 0
        self.seconds = self._since = 0.0

    def finished(self, record: TrialRecord) -> None:
        """A result was told; a stop is asked for after so many."""
        self.results += 1
        if self.results == self.workers:
            self._since = time.process_time()
        if self.results == self.workers + self.wanted:
            self.seconds = time.process_time() - self._since
            self.stop.request()


def time_many(history: History, seed: int, workers: int, results: int) -> float:
    """Seconds for each result of so many simulated workers: asking ahead, judging milestones, telling."""
    stop, evaluator = StopFlag(), deepcopy(history.evaluator)
    search = SAMPLERS[OURS](seed, history.table, evaluator)
    timer, simulated = Steady(stop, workers, results), SimulatedWorkers(evaluator, workers)
    budget = Budget(trials=None, seconds=None, stop=stop, clock=simulated.now)
    driver_on(
        history.table, evaluator, search, budget, timer, seed, past=history.trials, workers=simulated
    ).run()
    return timer.seconds / results


def growth(found: dict[str, Any], few: int, many: int) -> float:
    """The power of the number of trials with which the time per proposal grows between two sizes."""
    seconds = [found[str(size)]["propose_s"] for size in (few, many)]
    return math.log(seconds[1] / seconds[0]) / math.log(many / few)


def run(options: argparse.Namespace) -> dict[str, Any]:
    check_names("task", options.tasks, TABLES)
    check_names("sampler", options.samplers, SAMPLERS)
    found = {}
    for task in options.tasks:
        table, counts = TABLES[task](), options.sizes
        taken = time_proposals(
            table, counts, options.samplers, rounds=options.rounds, repeats=options.repeats
        )
        power = {name: growth(mine, *counts[-2:]) for name, mine in taken.items() if len(counts) > 1}
        found[task] = {"candidates": table.space.size, "samplers": taken, "growth": power}
        if options.workers:
            found[task]["workers"] = {
                str(size): time_many(told(table, size, 0), 0, options.workers, options.results)
                for size in counts
            }
    return found


def show(found: dict[str, Any]) -> None:
    for task, part in found.items():
        print(f"\nMilliseconds per proposal, {task} ({part['candidates']} candidates): median")
        for name, taken in part["samplers"].items():
            for size, one in taken.items():
                later, first = 1e3 * one["propose_s"], 1e3 * one["first_s"]
                print(f"  {name:16} {size:>6} trials: {later:8.1f}; first after a resume {first:.0f}")
        for size, seconds in part.get("workers", {}).items():
            print(f"  many workers     {size:>6} trials: {1e3 * seconds:8.1f} for each result")
        for what, measured, goal in goals(part):
            print(f"{'met' if measured <= goal else 'MISSED'}: {what} {measured:.3g}, goal {goal:g}")


def goals(part: dict[str, Any]) -> list[tuple[str, float, float]]:
    """What of ours was measured that has a goal: its name, the figure, the goal."""
    at, power = part["samplers"].get(OURS, {}).get(str(GOAL_AT)), part["growth"].get(OURS)
    speed = [(f"seconds per proposal at {GOAL_AT} trials", at["propose_s"], GOAL_SECONDS)] if at else []
    return speed + ([("power of growth with the trials", power, GOAL_GROWTH)] if power is not None else [])


def main(argv: list[str] | None = None) -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--tasks", type=names, default=list(TABLES), metavar="NAME,...")
    parser.add_argument("--samplers", type=names, default=list(SAMPLERS), metavar="NAME,...")
    parser.add_argument("--sizes", type=sizes, default=[100, 1000, 10_000], metavar="TRIALS,...")
    parser.add_argument("--rounds", type=int, default=7, help="timed proposals per repeat")
    parser.add_argument("--repeats", type=int, default=3, help="studies per size")
    parser.add_argument("--workers", type=int, default=0, help="time a driver of so many as well")
    parser.add_argument("--results", type=int, default=64, help="timed results of many workers")
    return finish(run, parser.parse_args(argv), show)


if __name__ == "__main__":
    sys.exit(main())
