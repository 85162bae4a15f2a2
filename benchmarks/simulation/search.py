"""One search over a recorded space by the real driver, and what it has come to at every moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial
from paretune.search.driver.budget import Budget, Clock, StopFlag
from paretune.search.driver.driver import Driver
from paretune.search.driver.many import DriverOfMany
from paretune.search.driver.parts import DriverParts
from paretune.search.driver.plan import SearchPlan
from paretune.search.driver.search import Search, hardware_first
from paretune.search.gate.gate import Gate
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Objective, Outcome, StudyRecord, TrialRecord
from paretune.search.record.progress import Progress
from paretune.search.record.protocols import NeededTrainings
from paretune.search.record.quality import QualityScale
from paretune.search.record.workers import Workers
from paretune.search.sampler.problem import SearchPart, SearchProblem
from paretune.search.storage.study_store import StudyStore

from benchmarks.simulation.evaluator import Noise, TableEvaluator
from benchmarks.simulation.recorded import QUALITY, Point, Recorded
from benchmarks.simulation.summary import moment
from benchmarks.simulation.workers import SimulatedWorkers

OURS = "hardware-first"
MARGIN = 0.01
"""Of the gate: a share of accuracy by which a candidate may be better than what bounds it."""

WHOLE: frozenset[SearchPart] = frozenset()

Way = Callable[[int, Recorded, NeededTrainings], Search]
"""How a search is done, by seed, table and the trainings that its candidates need."""


def without_gate(make: Callable[[int], BaseSampler]) -> Way:
    """A sampler as it is: whatever it proposes is trained."""
    return lambda seed, table, needed: Search(make(seed))


def behind_gate(make: Callable[[int], BaseSampler]) -> Way:
    """A sampler behind the gate as studies have it."""
    return lambda seed, table, needed: Search(make(seed), our_gate(table))


def our_gate(table: Recorded) -> Gate:
    return Gate(table.objectives, QualityScale.of(QUALITY), margin=MARGIN)


def ours(
    seed: int, table: Recorded, needed: NeededTrainings, without: frozenset[SearchPart] = WHOLE
) -> Search:
    """Our sampler and gate. It is told the reference accuracy, as a study file tells it by `reference`, and
    no stop rule."""
    problem = SearchProblem(
        space=table.space,
        objectives=table.objectives,
        scale=QualityScale.of(QUALITY),
        reference={QUALITY: table.reference[0]},
        without=without,
    )
    return hardware_first(problem, our_gate(table), needed, seed)


def ours_without(*parts: SearchPart) -> Way:
    """Our search without some of its parts."""
    return partial(ours, without=frozenset(parts))


def tpe(seed: int) -> BaseSampler:
    return TPESampler(seed=seed)


def at_random(seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


DRIVEN: dict[str, Way] = {"tpe+gate": behind_gate(tpe), OURS: ours}
ABLATIONS: dict[str, Way] = {
    **{f"{OURS} without {part.value}": ours_without(part) for part in SearchPart},
    f"{OURS} without all": ours_without(*SearchPart),
}
"""Each part left out alone, and all of them; run where they are named."""


class Holdings:
    """What was evaluated, by its true values. Each growth of the share of the true front's hypervolume is a
    moment, see `summary.moment`."""

    def __init__(self, table: Recorded, evaluator: TableEvaluator, clock: Clock | None = None) -> None:
        self.table, self.evaluator, self.share = table, evaluator, 0.0
        self.now = clock or evaluator.now
        self.history: list[list[float]] = []
        self._points: set[Point] = set()
        self._latest = 0

    def add(self, candidate: Candidate) -> None:
        """Take in a candidate that was evaluated just now."""
        point, paid = self.table.true(candidate), self.evaluator
        if point is None or point in self._points:
            return
        self._points.add(point)
        before, self.share = self.share, self.table.share([*self._points])
        if self.share > before:
            self._latest = max(self._latest, paid.place_of(candidate))
            spent = (paid.training_seconds, self.now(), paid.trainings_begun)
            self.history.append(moment(*spent, self.share, paid.whole_trainings, self._latest))

    def told(self, *, trials: int, stopped: str = "") -> dict[str, Any]:
        return {
            "history": self.history,
            "share": self.share,
            "training_seconds": self.evaluator.training_seconds,
            "seconds": self.now(),
            "trainings": self.evaluator.trainings_begun,
            "epochs": self.evaluator.whole_trainings,
            "measured": self.evaluator.measurements,
            "trials": trials,
            "stopped": stopped,
        }


Enough = Callable[[Holdings], bool]
"""Whether a search may end with what it holds."""


class DrivenSearch(Progress):
    """One search by the real driver in simulated time, until it holds enough or after so many trials; with
    so many `workers` and `devices` by the driver of many."""

    def __init__(
        self,
        table: Recorded,
        way: Way,
        seed: int,
        *,
        trials: int,
        enough: Enough,
        workers: int | None = None,
        devices: int | None = None,
    ) -> None:
        self.enough, self.stop = enough, StopFlag()
        self.evaluator = TableEvaluator(table.row, noise=Noise(spread=table.noise, seed=seed))
        simulated = None if workers is None else SimulatedWorkers(self.evaluator, workers, devices)
        clock = self.evaluator.now if simulated is None else simulated.now
        self.holdings = Holdings(table, self.evaluator, clock)
        search = way(seed, table, self.evaluator)
        budget = Budget(trials=trials, seconds=None, stop=self.stop, clock=clock)
        self.driver = driver_on(table, self.evaluator, search, budget, self, seed, workers=simulated)

    def run(self) -> dict[str, Any]:
        """Search to the end; see `Holdings.told`."""
        record = self.driver.run()
        return self.holdings.told(trials=len(record.trials), stopped=record.stopped)

    def finished(self, record: TrialRecord) -> None:
        """Take in what a trial gave; ask for a stop once it is enough."""
        if record.evaluation.outcome is Outcome.COMPLETE:
            self.holdings.add(record.evaluation.candidate)
        if self.enough(self.holdings):
            self.stop.request()


def driver_on(
    table: Recorded,
    evaluator: TableEvaluator,
    search: Search,
    budget: Budget,
    progress: Progress,
    seed: int,
    past: Sequence[FrozenTrial] = (),
    workers: Workers | None = None,
) -> Driver:
    """The real driver on a table, in a study in memory that has these trials already."""
    studies = studies_in_memory(table.objectives, search.sampler)
    studies.study.add_trials(past)
    parts = DriverParts(_plan(table, seed), evaluator, search, studies, budget, progress)
    return Driver(parts) if workers is None else DriverOfMany(parts, lambda: workers)


def studies_in_memory(objectives: tuple[Objective, ...], sampler: BaseSampler) -> StudyStore:
    """An empty study that is kept nowhere."""
    directions = ["maximize" if objective.higher_is_better else "minimize" for objective in objectives]
    study = optuna.create_study(directions=directions, sampler=sampler)
    return StudyStore(study, tuple(objective.metric for objective in objectives))


def _plan(table: Recorded, seed: int) -> SearchPlan:
    frame = StudyRecord(
        name="simulated",
        study_text="",
        workload="table",
        profile="table",
        quality=QUALITY,
        objectives=table.objectives,
        limits=(),
        trials=(),
    )
    return SearchPlan(
        space=table.space,
        limits=table.limits,
        finalists=0,
        finalist_rounds=0,
        seed=seed,
        frame=frame,
    )
