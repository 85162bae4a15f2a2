"""Strategies over a recorded space through the real driver, on a simulated clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import optuna
from paretune.search.gate.gate import Gate
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Objective, Outcome, StudyRecord, TrialRecord
from paretune.search.record.progress import Progress
from paretune.search.record.protocols import NeededTrainings
from paretune.search.record.quality import QualityScale
from paretune.search.run.budget import Budget
from paretune.search.run.driver import Driver, SearchPlan
from paretune.search.run.search import Search, hardware_first
from paretune.search.sampler.knowledge import SearchProblem
from paretune.search.space.space import Space
from paretune.search.storage.study_store import StudyStore

from benchmarks.exhaustive.account import GOAL, MOST_TRIALS, Holdings, PointNoise
from benchmarks.exhaustive.simple import tpe
from benchmarks.exhaustive.table import HIGHER, LATENCY, QUALITY, SIZE, Recorded
from benchmarks.replay.evaluator import Row, SimulatedClock, TableEvaluator

OBJECTIVES = tuple(
    Objective(metric=metric, higher_is_better=higher)
    for metric, higher in zip((QUALITY, LATENCY, SIZE), HIGHER, strict=True)
)

Way = Callable[[int, Recorded, NeededTrainings], Search]
"""How a search is done, by seed and by the trainings that candidates need."""
MARGIN = 0.01
"""Of the gate: a share of accuracy by which a compressed model may be better than what bounds it."""


def our_gate() -> Gate:
    """The gate as studies have it."""
    return Gate(OBJECTIVES, QualityScale.of(QUALITY), margin=MARGIN)


def ours(seed: int, table: Recorded, needed: NeededTrainings) -> Search:
    """Our sampler and gate as a study has them. It is told the reference accuracy, as `reference` in a study
    file tells it. No stop rule: a search ends at the goal."""
    problem = SearchProblem(
        space=table.space,
        objectives=OBJECTIVES,
        scale=QualityScale.of(QUALITY),
        reference={QUALITY: table.reference[0]},
    )
    return hardware_first(problem, our_gate(), needed, seed)


def _tpe_behind_gate(seed: int, table: Recorded, needed: NeededTrainings) -> Search:
    return Search(tpe(seed), our_gate())


OURS = "hardware-first"
DRIVEN: dict[str, Way] = {"tpe+gate": _tpe_behind_gate, OURS: ours}


class DrivenSearch(Progress):
    """One search by the real driver, on a simulated clock."""

    def __init__(self, table: Recorded, way: Way, seed: int) -> None:
        self.table, self.clock = table, SimulatedClock()
        budget = Budget(trials=MOST_TRIALS, seconds=None, clock=self.clock.now)
        self.stop = budget.stop
        self.holdings, self.training_seconds = Holdings(table), 0.0
        self._free = {candidate.digest for candidate in table.space.baselines()}
        self.evaluator = TableEvaluator(
            self._row,
            self.clock,
            quality=QUALITY,
            noise=PointNoise(spread=table.noise, seed=seed),
            checkpoint=budget.checkpoint,
        )
        search = way(seed, table, self.evaluator)
        study = optuna.create_study(
            directions=["maximize" if up else "minimize" for up in HIGHER], sampler=search.sampler
        )
        studies = StudyStore(study, tuple(objective.metric for objective in OBJECTIVES))
        self.driver = Driver(_plan(table.space, seed), self.evaluator, search, studies, budget, self)

    def run(self) -> StudyRecord:
        """Search until the goal is reached or the driver ends it."""
        return self.driver.run()

    def finished(self, record: TrialRecord) -> None:
        """Count what a trial cost and gave; ask for a stop at the goal."""
        evaluation = record.evaluation
        trained = [stage.seconds for stage in evaluation.stages if stage.name in ("distill", "prune")]
        self.training_seconds += sum(trained)
        if evaluation.outcome is Outcome.COMPLETE:
            self.holdings.add(
                evaluation.candidate,
                self.training_seconds,
                self.clock.now(),
                self.evaluator.trainings_begun,
            )
        if self.holdings.share >= GOAL:
            self.stop.request()

    def _row(self, candidate: Candidate) -> Row | None:
        row = self.table.row(candidate)
        if row is not None and candidate.digest in self._free:
            return replace(row, compile_seconds=0.0, score_seconds=0.0, measure_seconds=0.0)
        return row


def _plan(space: Space, seed: int) -> SearchPlan:
    frame = StudyRecord(
        name="exhaustive",
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
        limits=(),
        finalists=0,
        finalist_rounds=0,
        seed=seed,
        frame=frame,
    )
