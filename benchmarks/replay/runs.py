"""One search over a table, by the real driver, with the sampler and the judge of a name."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler
from paretune.search.gate.gate import Gate
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Objective, Outcome, StudyRecord, TrialRecord
from paretune.search.record.limits import LimitSpec
from paretune.search.record.progress import Progress
from paretune.search.record.protocols import NeededTrainings
from paretune.search.record.quality import QualityScale
from paretune.search.run.budget import Budget, StopFlag
from paretune.search.run.driver import Driver, SearchPlan
from paretune.search.run.search import Search, hardware_first
from paretune.search.sampler.knowledge import SearchProblem
from paretune.search.space.space import Space
from paretune.search.storage.study_store import StudyStore

from benchmarks.replay.evaluator import Row, SimulatedClock, TableEvaluator
from benchmarks.replay.table import Problem, space_of

QUALITY, LATENCY = "accuracy", "latency_ms"
OBJECTIVES = (
    Objective(metric=QUALITY, higher_is_better=True),
    Objective(metric=LATENCY, higher_is_better=False),
)
MARGIN = 0.01
"""Of the gate: a share of accuracy by which an architecture may beat what bounds it."""
TRIALS_PER_TRAINING = 40
"""A search that trains less than one candidate in so many trials is ended."""
POPULATION = 20
"""NSGA-II's. Optuna's 50 would leave it two generations of 100 trainings."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Trainings that a search may make, and what is said to take how long."""

    budget: int
    train_seconds: float
    measure_seconds: float


Way = Callable[[int, Problem, Space, NeededTrainings], Search]
"""How a search is done, by seed, problem and the trainings that candidates need."""


def without_gate(make: Callable[[int], BaseSampler]) -> Way:
    """A sampler as it is: whatever it proposes is trained."""
    return lambda seed, problem, space, needed: Search(make(seed))


def behind_gate(make: Callable[[int], BaseSampler]) -> Way:
    """A sampler behind the gate as studies have it."""
    return lambda seed, problem, space, needed: Search(make(seed), our_gate())


def our_gate() -> Gate:
    """The gate. No training here has rungs, so it never asks for the best hardware."""
    return Gate(OBJECTIVES, QualityScale.of(QUALITY), margin=MARGIN)


def nsga2(seed: int) -> BaseSampler:
    """NSGA-II with a population that leaves it several generations."""
    return NSGAIISampler(population_size=POPULATION, seed=seed)


def ours(seed: int, problem: Problem, space: Space, needed: NeededTrainings) -> Search:
    """Our sampler behind our gate. It is told the reference accuracy, as a study file does by `reference`."""
    searched = SearchProblem(
        space=space,
        objectives=OBJECTIVES,
        scale=QualityScale.of(QUALITY),
        reference={QUALITY: problem.reference[0]},
    )
    return hardware_first(searched, our_gate(), needed, seed)


SAMPLERS: dict[str, Way] = {
    "random": without_gate(lambda seed: RandomSampler(seed=seed)),
    "nsga2": without_gate(nsga2),
    "tpe": without_gate(lambda seed: TPESampler(seed=seed)),
    "gp": without_gate(lambda seed: GPSampler(seed=seed)),
    "tpe+gate": behind_gate(lambda seed: TPESampler(seed=seed)),
    "hardware-first": ours,
}
OPTUNAS_OWN = ("random", "nsga2", "tpe", "gp")
OURS = "hardware-first"


@dataclass
class _Watch(Progress):
    """Notes what was known after each training, and stops the search when the budget is used up."""

    evaluator: TableEvaluator
    clock: SimulatedClock
    stop: StopFlag
    wanted: int
    trained: list[tuple[float, float]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def finished(self, record: TrialRecord) -> None:
        """Count a training, and ask for a stop after the last one."""
        evaluation = record.evaluation
        if evaluation.outcome is Outcome.COMPLETE and evaluation.candidate.student:
            values = tuple(evaluation.metrics[name].value for name in (QUALITY, LATENCY))
            self.trained.append((values[0], values[1]))
            self.seconds.append(self.clock.now())
        if self.evaluator.trainings_begun >= self.wanted:
            self.stop.request()


def run_once(problem: Problem, sampler: str, seed: int, settings: Settings) -> dict[str, Any]:
    """One search: after each training the simulated seconds and the share of the true hypervolume, and how
    much was trained, measured and tried."""
    clock, space = SimulatedClock(), space_of(problem)

    def lookup(candidate: Candidate) -> Row | None:
        return problem.row(candidate, settings.train_seconds, settings.measure_seconds)

    evaluator = TableEvaluator(lookup, clock, quality=QUALITY)
    budget = Budget(trials=settings.budget * TRIALS_PER_TRAINING, seconds=None, clock=clock.now)
    watch = _Watch(evaluator=evaluator, clock=clock, stop=budget.stop, wanted=settings.budget)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's, of what it calls experimental
        search = SAMPLERS[sampler](seed, problem, space, evaluator)
        plan, studies = _plan(problem, space, seed), _studies(search.sampler)
        record = Driver(plan, evaluator, search, studies, budget, watch).run()
    shares = problem.share(watch.trained)
    return {
        "history": [[s, round(share, 6)] for s, share in zip(watch.seconds, shares, strict=True)],
        "share": shares[-1] if shares else 0.0,
        "trainings": evaluator.trainings_begun,
        "measured": evaluator.measurements,
        "trials": len(record.trials),
        "seconds": clock.now(),
        "stopped": record.stopped,
    }


def _studies(sampler: BaseSampler) -> StudyStore:
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=sampler)
    return StudyStore(study, (QUALITY, LATENCY))


def _plan(problem: Problem, space: Space, seed: int) -> SearchPlan:
    limit = LimitSpec(
        text=f"latency <= {problem.limit_ms:g} ms", metric=LATENCY, upper=True, bound=problem.limit_ms
    )
    frame = StudyRecord(
        name="replay",
        study_text="",
        workload="table",
        profile="table",
        quality=QUALITY,
        objectives=OBJECTIVES,
        limits=(),
        trials=(),
    )
    return SearchPlan(
        space=space,
        limits=(limit,),
        finalists=0,
        finalist_rounds=0,
        seed=seed,
        frame=frame,
    )
