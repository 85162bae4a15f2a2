"""The compression ladder: wins back what quantization lost, as long as that is worth its minutes.

A quantized candidate that loses too much climbs rungs in the order of predicted gain per minute: calibration,
mixed precision, quantization-aware training. It stops at the accuracy gate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...profiles.errors import InternalError, StageError, UserError
from ...profiles.words import one_line
from ..record.evaluation import Evaluation, Limit
from ..record.quality import QualityScale
from ..record.stops import Interrupted
from ..record.treatment import QAT, RUNGS, LadderRung, Treatment
from .calibration_rung import CalibrationRung
from .experience import Experience
from .mixed_rung import MixedPrecisionRung
from .protocols import Bench, Found, RungClimber, Standing
from .qat_rung import QatRung

SHARE_LOSS, OTHER_LOSS = 0.005, 0.005
"""What may be lost where no limit says it: half a point, or this share of the float model's value."""
SHARE_GAIN, OTHER_GAIN = 0.001, 0.001
"""What a minute must promise: a tenth of a point, or this share of the float model's value."""
LEAST_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class LadderSettings:
    """What may be tried, and for how long.

    `rungs` names those of `treatment.RUNGS` that are climbed; none switches the ladder off. `allowed_loss`
    (in the quality's unit) is what may be lost where no limit on the quality says it; None: half a point of a
    share, else 0.5 % of the float model's value. `seconds` is the most that one candidate's climb may take.
    No rung is climbed that promises less than `least_gain_per_minute` (None: a tenth of a point, or 0.1 %).
    `qat_epochs` of the training split, `draws` of calibration samples, the first ones among them.
    """

    rungs: tuple[str, ...] = RUNGS
    allowed_loss: float | None = None
    seconds: float = 120.0
    least_gain_per_minute: float | None = None
    qat_epochs: int = 4
    draws: int = 3

    def target(self, scale: QualityScale, limits: Sequence[Limit], best: float) -> float:
        """The quality at which a climb ends: the strictest limit on it, else the float model's `best` less
        the allowed loss."""
        bounds = [limit.bound for limit in scale.asked_by(limits)]
        if bounds:
            return max(bounds, key=scale.goodness)
        default = SHARE_LOSS if scale.is_share else OTHER_LOSS * abs(best)
        loss = default if self.allowed_loss is None else self.allowed_loss
        return scale.goodness(scale.goodness(best) - loss)

    def least_gain(self, scale: QualityScale, best: float) -> float:
        """What a minute must promise, as an amount of quality."""
        if self.least_gain_per_minute is not None:
            return self.least_gain_per_minute
        return SHARE_GAIN if scale.is_share else OTHER_GAIN * abs(best)


@dataclass(frozen=True, kw_only=True)
class Climb:
    """What a climb came to: the treatment to keep, every rung that was tried, and sentences about them."""

    treatment: Treatment
    rungs: tuple[LadderRung, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class _Promise:
    """What a rung is expected to do now. `gain` as an amount of quality."""

    climber: RungClimber
    gain: float
    seconds: float

    @property
    def per_minute(self) -> float:
        return 60 * self.gain / max(self.seconds, LEAST_SECONDS)


class Ladder:
    """The ladder of one study; it learns what its rungs are worth."""

    def __init__(self, settings: LadderSettings) -> None:
        self.settings, self.experience = settings, Experience()
        climbers: tuple[RungClimber, ...] = (
            CalibrationRung(draws=settings.draws),
            MixedPrecisionRung(),
            QatRung(epochs=settings.qat_epochs),
        )
        self._climbers = tuple(climber for climber in climbers if climber.name in settings.rungs)

    def learn(self, evaluation: Evaluation, scale: QualityScale) -> None:
        """Take in the ladder of an evaluation, of this session or an earlier one."""
        self.experience.learn(evaluation, scale)

    def climb(self, bench: Bench, standing: Standing) -> Climb:
        """Climb until the target is reached, no rung left is worth its minutes, or the deadline is over.

        A rung that fails is in the record and changes nothing.

        Raises:
            Interrupted: a stop was asked for, or the study's time is used up.
        """
        left, rungs, notes = list(self._climbers), list[LadderRung](), list[str]()
        while bench.now() < standing.deadline and not standing.reached(bench.scale, standing.scored.quality):
            promise = self._best(left, bench, standing)
            if promise is None:
                break
            left.remove(promise.climber)
            started = bench.now()
            found = _tried(promise.climber, bench, standing)
            rung = _record(promise, bench, standing, found, bench.now() - started)
            rungs.append(rung)
            notes.extend(found.notes)
            if rung.kept:
                standing = standing.moved(found.treatment, found.scored)
        if rungs:
            notes.append(_summary(bench.scale, rungs, standing))
        return Climb(treatment=standing.treatment, rungs=tuple(rungs), notes=tuple(notes))

    def _best(self, left: Sequence[RungClimber], bench: Bench, standing: Standing) -> _Promise | None:
        promises = [self._promise(climber, bench, standing) for climber in left]
        least = self._least(bench, standing)
        worth = [p for p in promises if p and (p.per_minute >= least or _is_insisted_on(p, standing))]
        return max(worth, key=lambda promise: promise.per_minute, default=None)

    def _least(self, bench: Bench, standing: Standing) -> float:
        return self.settings.least_gain(bench.scale, standing.best)

    def _promise(self, climber: RungClimber, bench: Bench, standing: Standing) -> _Promise | None:
        seconds = climber.seconds(bench, standing)
        if seconds is None:
            return None
        candidate, time_left = bench.candidate, standing.deadline - bench.now()
        seconds *= self.experience.pace(climber.name)
        gain = standing.lost(bench.scale)
        gain *= self.experience.share(climber.name, candidate.backend, candidate.precision)
        if seconds > time_left:
            if climber.name == QAT:
                return None  # half a training is worth nothing
            gain, seconds = gain * time_left / seconds, time_left  # the others end where the time does
        return _Promise(climber=climber, gain=gain, seconds=seconds)


def _is_insisted_on(promise: _Promise, standing: Standing) -> bool:
    return standing.insists and promise.climber.name != QAT


def _tried(climber: RungClimber, bench: Bench, standing: Standing) -> Found:
    try:
        return climber.climb(bench, standing)
    except StageError as error:  # of the user's code, too
        return _failed(climber, standing, f"{error.stage}: {error.cause}".removeprefix(": "))
    except (InternalError, UserError, Interrupted):
        raise
    except Exception as error:
        # The candidate has its artifact: whatever a runtime or a library raises here costs this rung alone.
        return _failed(climber, standing, str(error) or type(error).__name__)


def _failed(climber: RungClimber, standing: Standing, cause: str) -> Found:
    cause = one_line(cause, 200)
    return Found(
        treatment=standing.treatment,
        scored=standing.scored,
        detail=f"failed: {cause}",
        kept=False,
        notes=(f"{climber.name} was tried to win quality back, and failed: {cause}",),
    )


def _record(promise: _Promise, bench: Bench, standing: Standing, found: Found, seconds: float) -> LadderRung:
    scale, before, after = bench.scale, standing.scored.quality, found.scored.quality
    gained = scale.goodness(after) - scale.goodness(before)
    return LadderRung(
        name=promise.climber.name,
        predicted_gain=promise.gain,
        predicted_seconds=promise.seconds,
        seconds=seconds,
        before=before,
        after=after,
        kept=found.kept and gained > scale.slack(before),
        simulated=found.simulated,
        detail=found.detail,
    )


def _summary(scale: QualityScale, rungs: Sequence[LadderRung], standing: Standing) -> str:
    """ "quantization lost 3.2 pt of accuracy, won back 2.9 pt (qat), target 97.00 % reached"."""
    best, first = scale.goodness(standing.best), scale.goodness(rungs[0].before)
    won = scale.goodness(standing.scored.quality) - first
    kept = ", ".join(rung.name for rung in rungs if rung.kept)
    back = f"won back {scale.difference(won)} ({kept})" if kept else "nothing of it was won back"
    if won > best - first + scale.slack(first):
        back += ", more than was lost: part of it is longer training"
    reached = "reached" if standing.reached(scale, standing.scored.quality) else "not reached"
    return (
        f"quantization lost {scale.difference(best - first)} of {scale.title}, {back}; "
        f"the target of {scale.text(standing.target)} was {reached}"
    )
