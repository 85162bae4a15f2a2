"""A recorded table in place of real models and devices, with a clock that is simulated.

The real driver, samplers and gate run on it as they run on a device: what a training or a measurement took
when it was recorded is what it costs here, and nothing is waited for.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from paretune.profiles.errors import InternalError
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
from paretune.search.record.protocols import Decision, Hardware, Judge, Rung, Standard, Training

NOT_IN_TABLE = "not in the table"
NOTHING = Standard()
HALF_INTERVAL = 0.001
"""Half width of a hardware metric's interval as a share of its value, where the table is exact."""
NORMAL_95 = 1.96


@dataclass
class SimulatedClock:
    """Seconds that pass only when something is said to have taken them. `clock.now` is a `budget.Clock`."""

    seconds: float = 0.0

    def now(self) -> float:
        """Seconds since the start."""
        return self.seconds

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Raises:
            InternalError: the time is negative.
        """
        if seconds < 0:
            raise InternalError(f"time cannot go back by {-seconds} s")
        self.seconds += seconds


@dataclass(frozen=True, kw_only=True)
class RecordedTraining:
    """One training as it went: `kind` is "distill" or "prune", `seconds` what all its epochs took.

    `curve` has (epochs done, quality) at each rung, ascending; a training may be given up at every one that
    comes before the last epoch. `work` is in multiply-adds, None where it was not recorded.
    """

    key: str
    kind: str
    seconds: float
    epochs: int = 1
    curve: tuple[tuple[int, float], ...] = ()
    quality: float | None = None
    work: float | None = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """All that was recorded of one candidate.

    `quality` is the one on validation, with its 95 % interval where it was recorded; `hardware` maps names
    of metrics to what they truly are. `refused` says why the candidate could not exist.
    """

    quality: float = 0.0
    quality_low: float | None = None
    quality_high: float | None = None
    quality_on_test: float | None = None
    hardware: Mapping[str, float] = field(default_factory=dict)
    trainings: tuple[RecordedTraining, ...] = ()
    compile_seconds: float = 0.0
    score_seconds: float = 0.0
    measure_seconds: float = 0.0
    refused: str = ""


Lookup = Callable[[Candidate], Row | None]


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Relative standard deviation by metric of one measurement; the seed decides what is drawn."""

    deviations: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0

    def measured(self, what: str, metrics: Mapping[str, float]) -> dict[str, Quantity]:
        """One measurement, the same whenever `what` is the same."""
        return {name: self._one(f"{self.seed} {what} {name}", name, value) for name, value in metrics.items()}

    def _one(self, seed: str, name: str, true: float) -> Quantity:
        deviation = self.deviations.get(name, 0.0)
        value = true
        if deviation:
            value = true * max(0.05, 1 + deviation * random.Random(seed).gauss(0.0, 1.0))
        half = abs(value) * (NORMAL_95 * deviation or HALF_INTERVAL)
        return Quantity(value=value, low=value - half, high=value + half, how="from a recorded table")


class TableEvaluator:
    """Evaluates candidates from a table, see `CandidateEvaluator`.

    `quality` is the name of the quality metric. With `remember`, each training is paid once; without, every
    trial pays for its own. `measurements` counts the hardware measurements with untrained weights,
    `trainings_begun` the trainings that were paid for, wholly or in part.
    """

    def __init__(
        self,
        lookup: Lookup,
        clock: SimulatedClock,
        *,
        quality: str = "accuracy",
        noise: Noise | None = None,
        remember: bool = True,
        checkpoint: Callable[[], None] = lambda: None,
    ) -> None:
        self.lookup, self.clock, self.quality = lookup, clock, quality
        self.noise, self.remember, self.checkpoint = noise or Noise(), remember, checkpoint
        self.measurements = self.trainings_begun = 0
        self._hardware: dict[str, Hardware] = {}
        self._done: dict[str, RecordedTraining] = {}
        self._epochs: dict[str, int] = {}  # of the trainings that were given up: their checkpoints

    # -- the contract ---------------------------------------------------------------------------------

    def prepare_reference(self, candidate: Candidate) -> None:
        """Nothing to make ready."""

    def trains(self, candidate: Candidate) -> bool:
        """Whether the table has trainings for the candidate."""
        row = self.lookup(candidate)
        return row is not None and bool(row.trainings)

    def trainings(self, candidate: Candidate) -> tuple[Training, ...]:
        """The trainings that the candidate needs, in order, with those that are done."""
        row = self.lookup(candidate)
        return tuple(self._as_known(recorded) for recorded in row.trainings) if row else ()

    def hardware(self, candidate: Candidate, standard: Standard = NOTHING) -> Hardware:
        """What the candidate costs on the device; the first of its hardware class takes the time."""
        return self._hardware_of(candidate, [])

    def evaluate(self, candidate: Candidate, judge: Judge, *, baseline: bool = False) -> Evaluation:
        """All that the table has of one candidate, as far as the judge wants to pay for it.

        Raises:
            Interrupted: `checkpoint` said so; trainings that ended are remembered.
        """
        stages: list[StageRecord] = []
        known = Evaluation(candidate=candidate, outcome=Outcome.REFUSED, baseline=baseline)
        row = self.lookup(candidate)
        if row is None or row.refused:
            return replace(known, reason=row.refused if row else NOT_IN_TABLE)
        if self._worth_measuring_first(candidate, row):
            hardware = self._hardware_of(candidate, stages)
            known = replace(known, gate=dict(hardware.metrics), stability=hardware.stability)
            decision = judge.before_training(candidate, hardware)
            if decision is not None:
                return self._gated(known, decision, judge, stages)
        self.checkpoint()
        for recorded in row.trainings:
            stopped = self._train(candidate, recorded, judge, stages)
            if stopped is not None:
                decision, epoch = stopped
                return replace(self._gated(known, decision, judge, stages), stopped_epoch=epoch)
        return self._complete(known, row, judge, stages)

    def test_score(self, evaluation: Evaluation) -> Quantity:
        """Quality on test; the one on validation where the table has no other."""
        row = self.lookup(evaluation.candidate)
        if row is None:
            raise InternalError(f"a candidate that is {NOT_IN_TABLE} has no score")
        on_test = row.quality_on_test
        return Quantity(value=row.quality if on_test is None else on_test, how="from a recorded table")

    def finalists(
        self, record: StudyRecord, numbers: tuple[int, ...], *, rounds: int, seed: int
    ) -> tuple[Finalist, ...]:
        """None: a replay asks how fast a search is, not what to ship."""
        return ()

    # -- hardware -------------------------------------------------------------------------------------

    def _worth_measuring_first(self, candidate: Candidate, row: Row) -> bool:
        """As real evaluation does it: whether training is at stake."""
        if not row.trainings:
            return False
        measured = candidate.hardware_class().digest in self._hardware
        return measured or any(recorded.key not in self._done for recorded in row.trainings)

    def _hardware_of(self, candidate: Candidate, stages: list[StageRecord]) -> Hardware:
        key = candidate.hardware_class().digest
        if key not in self._hardware:
            self._hardware[key] = self._untrained(key, self.lookup(candidate), stages)
        return self._hardware[key]

    def _untrained(self, key: str, row: Row | None, stages: list[StageRecord]) -> Hardware:
        if row is None or row.refused:
            return Hardware(refused=row.refused if row else NOT_IN_TABLE)
        self.measurements += 1
        for name, seconds in (("compile", row.compile_seconds), ("measure", row.measure_seconds)):
            self._spend(name, f"untrained {key}", seconds, stages)
        return Hardware(metrics=self.noise.measured(f"untrained {key}", row.hardware), stability="stable")

    # -- trainings ------------------------------------------------------------------------------------

    def _as_known(self, recorded: RecordedTraining) -> Training:
        done = recorded.key in self._done
        return Training(
            key=recorded.key,
            kind=recorded.kind,
            work=recorded.work,
            done=done,
            quality=_final_quality(recorded) if done else None,
            seconds=recorded.seconds if done else None,
        )

    def _train(
        self, candidate: Candidate, recorded: RecordedTraining, judge: Judge, stages: list[StageRecord]
    ) -> tuple[Decision, int] | None:
        """Play a training; None where it went to its end, else the decision and the epoch that ended it."""
        if recorded.key in self._done:
            stages.append(_stage(recorded, cached=True, seconds=0.0, curve=recorded.curve))
            return None
        begun = self._epochs.get(recorded.key, 0)
        self.trainings_begun += begun == 0
        for place, (epoch, _) in enumerate(recorded.curve, start=1):
            if begun <= epoch < recorded.epochs:
                curve = recorded.curve[:place]
                rung = Rung(key=recorded.key, kind=recorded.kind, epochs=recorded.epochs, curve=curve)
                decision = judge.at_rung(candidate, rung)
                if decision is not None:
                    self._trained(recorded, begun, epoch, curve, stages)
                    return decision, epoch
        self._trained(recorded, begun, recorded.epochs, recorded.curve, stages)
        return None

    def _trained(
        self,
        recorded: RecordedTraining,
        begun: int,
        ended: int,
        curve: tuple[tuple[int, float], ...],
        stages: list[StageRecord],
    ) -> None:
        seconds = recorded.seconds * (ended - begun) / recorded.epochs
        self.clock.advance(seconds)
        stages.append(_stage(recorded, cached=False, seconds=seconds, curve=curve))
        if not self.remember:
            return
        self._epochs[recorded.key] = ended
        if ended == recorded.epochs:
            self._done[recorded.key] = recorded

    # -- the end of an evaluation -----------------------------------------------------------------------

    def _gated(
        self, known: Evaluation, decision: Decision, judge: Judge, stages: list[StageRecord]
    ) -> Evaluation:
        missed = violations(limits_on(known.gate, judge.standard.limits), known.gate)
        return replace(
            known,
            outcome=Outcome.GATED,
            reason=decision.reason,
            bound=decision.bound,
            violations=missed,
            stages=tuple(stages),
        )

    def _complete(self, known: Evaluation, row: Row, judge: Judge, stages: list[StageRecord]) -> Evaluation:
        key = known.candidate.digest
        for name in ("compile", "score", "measure"):
            self.checkpoint()
            self._spend(name, key, getattr(row, f"{name}_seconds"), stages)
        how = "from a recorded table"
        quality = Quantity(value=row.quality, low=row.quality_low, high=row.quality_high, how=how)
        metrics = {self.quality: quality, **self.noise.measured(f"trained {key}", row.hardware)}
        return replace(
            known,
            outcome=Outcome.COMPLETE,
            metrics=metrics,
            violations=violations(judge.standard.limits, metrics),
            stages=tuple(stages),
            stability="stable",
        )

    def _spend(self, name: str, key: str, seconds: float, stages: list[StageRecord]) -> None:
        self.clock.advance(seconds)
        stages.append(StageRecord(name=name, key=f"{name} {key}", cached=False, seconds=seconds))


def _stage(
    recorded: RecordedTraining, *, cached: bool, seconds: float, curve: tuple[tuple[int, float], ...]
) -> StageRecord:
    return StageRecord(name=recorded.kind, key=recorded.key, cached=cached, seconds=seconds, curve=curve)


def _final_quality(recorded: RecordedTraining) -> float | None:
    if recorded.quality is not None or not recorded.curve:
        return recorded.quality
    return recorded.curve[-1][1]
