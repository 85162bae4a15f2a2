"""Strategies over a recorded space through the real driver, on a simulated clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import optuna
from optuna.samplers import BaseSampler
from paretune.search.gate.gate import Gate
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Objective, Outcome, StudyRecord, TrialRecord
from paretune.search.record.progress import Progress
from paretune.search.record.protocols import CandidateEvaluator, Judge
from paretune.search.record.quality import QualityScale
from paretune.search.record.training import trainings_met
from paretune.search.run.budget import Budget, StopFlag
from paretune.search.run.driver import Driver, SearchPlan
from paretune.search.run.facts import StudyFacts
from paretune.search.sampler.hardware_first import HardwareFirstSampler
from paretune.search.sampler.knowledge import Problem
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

Way = Callable[[int, Recorded, CandidateEvaluator], tuple[BaseSampler, Judge]]
"""The sampler for a seed, and the judge that goes with it."""
MARGIN = 0.01
"""Of the gate: a share of accuracy by which a compressed model may be better than what bounds it."""


def our_gate() -> Gate:
    """The gate as studies have it."""
    return Gate(OBJECTIVES, QualityScale.of(QUALITY), margin=MARGIN, best_hardware=lambda _: None)


def hardware_first(seed: int, table: Recorded, evaluator: CandidateEvaluator) -> tuple[BaseSampler, Judge]:
    """Our sampler and gate as a study has them. It is told the reference accuracy, as `reference` in a study
    file tells it. No stop rule: a search ends at the goal."""
    gate = our_gate()
    problem = Problem(
        space=table.space,
        objectives=OBJECTIVES,
        scale=QualityScale.of(QUALITY),
        reference={QUALITY: table.reference[0]},
    )
    sampler = HardwareFirstSampler(problem, StudyFacts(evaluator, gate), seed)
    gate.best_hardware = sampler.best_hardware
    return sampler, gate


def _tpe_behind_gate(seed: int, table: Recorded, evaluator: CandidateEvaluator) -> tuple[BaseSampler, Judge]:
    return tpe(seed), our_gate()


OURS = "hardware-first"
DRIVEN: dict[str, Way] = {"tpe+gate": _tpe_behind_gate, OURS: hardware_first}


class DrivenSearch(Progress):
    """One search by the real driver, on a simulated clock."""

    def __init__(self, table: Recorded, way: Way, seed: int) -> None:
        self.table, self.clock, self.stop = table, SimulatedClock(), StopFlag()
        self.holdings, self.training_seconds = Holdings(table), 0.0
        self._free = {candidate.digest for candidate in table.space.baselines()}
        self.evaluator = TableEvaluator(
            self._row,
            self.clock,
            quality=QUALITY,
            noise=PointNoise(spread=table.noise, seed=seed),
            checkpoint=lambda: self.driver.checkpoint(),
        )
        sampler, judge = way(seed, table, self.evaluator)
        study = optuna.create_study(
            directions=["maximize" if up else "minimize" for up in HIGHER], sampler=sampler
        )
        budget = Budget(trials=MOST_TRIALS, seconds=None, clock=self.clock.now)
        studies = StudyStore(study, tuple(objective.metric for objective in OBJECTIVES))
        self.driver = Driver(
            _plan(table.space, seed), self.evaluator, judge, studies, budget, self.stop, self
        )

    def run(self) -> StudyRecord:
        """Search until the goal is reached or the driver ends it."""
        return self.driver.run()

    def finished(self, record: TrialRecord) -> None:
        """Count what a trial cost and gave; ask for a stop at the goal."""
        evaluation = record.evaluation
        trained = [stage.seconds for stage in trainings_met(evaluation)]
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
        objectives=OBJECTIVES,
        limits=(),
        finalists=0,
        finalist_rounds=0,
        seed=seed,
        frame=frame,
    )
