"""A recorded table in place of real models and devices, in time that is simulated.

The real driver, samplers and gate run on it as they run on a device: what a training or a measurement took
when it was recorded is what it costs here, and nothing is waited for.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from paretune.search.ranking.known import limits_on, violations
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import (
    Evaluation,
    Finalist,
    Outcome,
    Quantity,
    StageRecord,
    StudyRecord,
)
from paretune.search.record.protocols import Decision, Hardware, Judge, Milestone, Standard, Training
from paretune.search.record.untrained import UNTOLD, Untrained

from benchmarks.simulation.recorded import LATENCY, QUALITY, Lookup, RecordedTraining, Row
from benchmarks.simulation.steps import Step, Steps, at_once

NO_STANDARD = Standard()
NOT_IN_TABLE = "not in the table"
HALF_INTERVAL = 0.001
"""Half width of a hardware metric's interval as a share of its value, where the table is exact."""
NORMAL_95 = 1.96
HOW = "from a recorded table"
ON_DEVICE = ("score", "measure")
Stages = list[StageRecord]


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Relative standard deviation of one measurement of latency: by the candidate's digest, else `deviation`.
    The seed decides what is drawn."""

    deviation: float = 0.0
    spread: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0

    def measured(self, what: str, metrics: Mapping[str, float]) -> dict[str, Quantity]:
        """One measurement, the same whenever `what` is the same; its last word is a digest."""
        deviation = self.spread.get(what.rsplit(" ", 1)[-1], self.deviation)
        return {
            name: _drawn(f"{self.seed} {what} {name}", value, deviation if name == LATENCY else 0.0)
            for name, value in metrics.items()
        }


def _drawn(seed: str, true: float, deviation: float) -> Quantity:
    value = true
    if deviation:
        value = true * max(0.05, 1 + deviation * random.Random(seed).gauss(0.0, 1.0))
    half = abs(value) * (NORMAL_95 * deviation or HALF_INTERVAL)
    return Quantity(value=value, low=value - half, high=value + half, how=HOW)


class TableEvaluator:
    """Evaluates candidates from a table, see `CandidateEvaluator`, and keeps the time and the account.

    With `remember` each training is paid once; without, every evaluation pays for all its own and measures
    anew. Without `measures_first` nothing is asked of the device before the training. `training_seconds` and
    `now()` are what was spent, `measurements` counts those with untrained weights, `trainings_begun` the
    trainings that were paid for, wholly or in part, and `whole_trainings` how many their epochs make up.

    An evaluation is a sequence of `steps`: done one after the other, or by `SimulatedWorkers` beside others.
    What one of them makes the others have; whoever needs it meanwhile waits for it.
    """

    def __init__(
        self,
        lookup: Lookup,
        *,
        noise: Noise | None = None,
        remember: bool = True,
        measures_first: bool = True,
    ) -> None:
        self.lookup, self.noise = lookup, noise or Noise()
        self.remember, self.measures_first = remember, measures_first
        self.training_seconds = self._seconds = self.whole_trainings = 0.0
        self.measurements = self.trainings_begun = self.evaluations = 0
        self._hardware: dict[str, Hardware] = {}
        self._epochs: dict[str, int] = {}  # that each training has come to: given up ones have a checkpoint
        self._places: dict[str, int] = {}  # of each training among those begun
        self._at_work: set[str] = set()  # what is being measured or trained, by its key

    def now(self) -> float:
        """Simulated seconds since the start: a `budget.Clock`."""
        return self._seconds

    def prepare_reference(self, candidate: Candidate) -> None:
        pass

    def trains(self, candidate: Candidate) -> bool:
        return not candidate.is_teacher  # asked of hardware classes too, which no table has

    def trainings(self, candidate: Candidate) -> tuple[Training, ...]:
        row = self.lookup(candidate)
        return tuple(self._as_known(recorded) for recorded in row.trainings) if row else ()

    def place_of(self, candidate: Candidate) -> int:
        """The how manieth of the trainings that were begun its own was; 0: it has none."""
        row = self.lookup(candidate)
        return max((self._places.get(one.key, 0) for one in row.trainings), default=0) if row else 0

    def untrained(self, candidate: Candidate) -> Untrained:
        row = self.lookup(candidate)
        return row.untrained if row else UNTOLD

    def hardware(self, candidate: Candidate, standard: Standard = NO_STANDARD) -> Hardware:
        return at_once(self.measuring(candidate))

    def evaluate(self, candidate: Candidate, judge: Judge, *, baseline: bool = False) -> Evaluation:
        """All that the table has of one candidate, as far as the judge wants to pay for it."""
        return at_once(self.evaluating(candidate, judge, baseline=baseline))

    def measuring(self, candidate: Candidate) -> Steps[Hardware]:
        """The steps of `hardware`."""
        return (yield from self._hardware_of(candidate, []))

    def evaluating(self, candidate: Candidate, judge: Judge, *, baseline: bool = False) -> Steps[Evaluation]:
        """The steps of `evaluate`; the judge is asked when it comes to it."""
        self.evaluations += 1
        stages: Stages = []
        known = Evaluation(candidate=candidate, outcome=Outcome.REFUSED, baseline=baseline)
        row = self.lookup(candidate)
        if row is None or (row.refused and self.measures_first):
            return replace(known, reason=row.refused if row else NOT_IN_TABLE)
        if self._worth_measuring_first(candidate, row, judge):
            hardware = yield from self._hardware_of(candidate, stages)
            known = replace(known, gate=dict(hardware.metrics), stability=hardware.stability)
            decision = judge.before_training(candidate, hardware)
            if decision is not None:
                return self._gated(known, decision, judge, stages)
        for recorded in row.trainings:
            stopped = yield from self._train(candidate, recorded, judge, stages)
            if stopped is not None:
                decision, epoch = stopped
                gated = self._gated(known, decision, judge, stages)
                return replace(gated, stopped_epoch=epoch, paused=decision.pause, late=decision.late)
        return (yield from self._complete(known, row, judge, stages))

    def test_score(self, evaluation: Evaluation) -> Quantity:
        return evaluation.metrics[QUALITY]  # no limit on quality is stated here, so nobody asks

    def finalists(
        self, record: StudyRecord, numbers: tuple[int, ...], *, rounds: int, seed: int
    ) -> tuple[Finalist, ...]:
        return ()  # a benchmark asks how fast a search is, not what to ship

    def _worth_measuring_first(self, candidate: Candidate, row: Row, judge: Judge) -> bool:
        """As real evaluation does it: whether training is at stake."""
        if not row.trainings or not self.measures_first:
            return False
        measured = candidate.hardware_class().digest in self._hardware
        return measured or (judge.measures_first and not all(map(self._is_done, row.trainings)))

    def _hardware_of(self, candidate: Candidate, stages: Stages) -> Steps[Hardware]:
        key = candidate.hardware_class().digest
        while key in self._at_work:
            yield Step(after=key)
        if key not in self._hardware:
            with self._working_on(key):
                self._hardware[key] = yield from self._untrained(key, self.lookup(candidate), stages)
        return self._hardware[key]

    @contextmanager
    def _working_on(self, key: str) -> Iterator[None]:
        self._at_work.add(key)
        try:
            yield
        finally:
            self._at_work.discard(key)

    def _untrained(self, key: str, row: Row | None, stages: Stages) -> Steps[Hardware]:
        if row is None or row.refused:
            return Hardware(refused=row.refused if row else NOT_IN_TABLE)
        self.measurements += 1
        for name, seconds in (("compile", row.compile_seconds), ("measure", row.measure_seconds)):
            yield from self._spend(name, f"untrained {key}", seconds, stages)
        metrics = self.noise.measured(f"untrained {key}", row.hardware)
        return Hardware(metrics=metrics, stability="stable", untrained=row.measured_with_it)

    def _is_done(self, recorded: RecordedTraining) -> bool:
        return self._epochs.get(recorded.key) == recorded.epochs

    def _as_known(self, recorded: RecordedTraining) -> Training:
        done = self._is_done(recorded)
        return Training(
            key=recorded.key,
            kind=recorded.kind,
            work=recorded.work,
            done=done,
            quality=recorded.quality if done else None,
            seconds=recorded.seconds if done else None,
        )

    def _train(
        self, candidate: Candidate, recorded: RecordedTraining, judge: Judge, stages: Stages
    ) -> Steps[tuple[Decision, int] | None]:
        """Play what is left of it; None where it went to its end, else the decision and how far it came."""
        while recorded.key in self._at_work:
            yield Step(after=recorded.key)
        with self._working_on(recorded.key):
            return (yield from self._trained_on(candidate, recorded, judge, stages))

    def _trained_on(
        self, candidate: Candidate, recorded: RecordedTraining, judge: Judge, stages: Stages
    ) -> Steps[tuple[Decision, int] | None]:
        begun = at = self._epochs.get(recorded.key, 0)
        if begun == 0:
            self.trainings_begun += 1
            self._places[recorded.key] = self.trainings_begun
        for place, (epoch, _) in enumerate(recorded.curve, start=1):
            if not begun <= epoch < recorded.epochs:
                continue
            yield self._part(recorded, at, epoch)
            at = epoch
            curve = recorded.curve[:place]
            milestone = Milestone(key=recorded.key, kind=recorded.kind, epochs=recorded.epochs, curve=curve)
            decision = judge.at_milestone(candidate, milestone)
            if decision is not None:
                self._trained(recorded, begun, epoch, place, stages)
                return decision, epoch
        yield self._part(recorded, at, recorded.epochs)
        self._trained(recorded, begun, recorded.epochs, len(recorded.curve), stages)
        return None

    def _part(self, recorded: RecordedTraining, begun: int, ended: int) -> Step:
        """Some epochs, which are paid for when they are begun."""
        part = (ended - begun) / recorded.epochs
        self.whole_trainings += part
        self.training_seconds += recorded.seconds * part
        return Step(seconds=recorded.seconds * part)

    def _trained(
        self, recorded: RecordedTraining, begun: int, ended: int, milestones: int, stages: Stages
    ) -> None:
        seconds = recorded.seconds * ((ended - begun) / recorded.epochs)
        self._seconds += seconds
        done, curve = begun == recorded.epochs, recorded.curve[:milestones]
        stages.append(
            StageRecord(name=recorded.kind, key=recorded.key, cached=done, seconds=seconds, curve=curve)
        )
        if self.remember:
            self._epochs[recorded.key] = ended

    def _gated(self, known: Evaluation, decision: Decision, judge: Judge, stages: Stages) -> Evaluation:
        missed = violations(limits_on(known.gate, judge.standard.limits), known.gate)
        return replace(
            known,
            outcome=Outcome.GATED,
            reason=decision.reason,
            bound=decision.bound,
            violations=missed,
            stages=tuple(stages),
        )

    def _complete(self, known: Evaluation, row: Row, judge: Judge, stages: Stages) -> Steps[Evaluation]:
        key = known.candidate.digest
        for name in ("compile", "score", "measure"):
            yield from self._spend(name, key, getattr(row, f"{name}_seconds"), stages)
        if row.refused:
            return replace(known, reason=row.refused, stages=tuple(stages))
        what = f"trained {key}" if self.remember else f"trained {self.evaluations} {key}"
        quality = Quantity(value=row.quality, low=row.quality_low, high=row.quality_high, how=HOW)
        metrics = {QUALITY: quality, **self.noise.measured(what, row.hardware)}
        return replace(
            known,
            outcome=Outcome.COMPLETE,
            metrics=metrics,
            violations=violations(judge.standard.limits, metrics),
            stages=tuple(stages),
            stability="stable",
        )

    def _spend(self, name: str, key: str, seconds: float, stages: Stages) -> Steps[None]:
        yield Step(seconds=seconds, on_device=name in ON_DEVICE)
        self._seconds += seconds
        stages.append(StageRecord(name=name, key=f"{name} {key}", cached=False, seconds=seconds))
