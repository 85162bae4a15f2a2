"""The gate: what misses a limit on the device or is certain to be dominated is not worth training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..ranking.sentences import quantity_text
from ..record.candidate import Candidate
from ..record.evaluation import Bound, Limit, Objective, Quantity, TrialRecord
from ..record.metrics import HARDWARE_METRICS, metric_info
from ..record.protocols import Decision, Hardware, Milestone
from ..record.quality import QualityScale
from ..record.training import DISTILL
from .bounds import PRECISION, SPARSITY, QualityBounds
from .learning_curves import LearningCurves
from .rivals import Rivals
from .tunings import Tunings

_NOT_YET = "no other runtime has run this model yet"
_AT_BEST = "even at the best that a tuning may bring"


class Gate:
    """Learns from every trial of one study; see docs of `before_training` and `at_milestone`.

    `margin` is what a compressed model may be better than its less compressed relatives, in the metric's
    unit. Without `during_training` it never gives up a training. `tunings` knows who has to be tuned.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        scale: QualityScale,
        margin: float,
        during_training: bool = True,
        tunings: Tunings | None = None,
    ) -> None:
        self.scale, self._tunings = scale, tunings or Tunings(scale)
        self.bounds, self.curves = QualityBounds(scale, margin), LearningCurves(scale)
        self._rivals = Rivals(objectives, scale)
        self._doubtful: set[Candidate] = set()
        self._during_training = during_training

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The study's limits, resolved."""
        return self._rivals.limits

    def judge_by(self, limits: Sequence[Limit]) -> None:
        """From now on by these limits, also what was learned before."""
        self._rivals.judge_by(tuple(limits))

    def learn(self, record: TrialRecord) -> None:
        """Take in a trial that has ended."""
        self.bounds.learn(record)
        self.curves.learn(record)
        self._tunings.learn(record)
        self._rivals.learn(record)

    def ceiling(self, candidate: Candidate, macs: float | None) -> float | None:
        """The best quality that the candidate could have; None where nothing bounds it."""
        found = self.bounds.ceiling(candidate, macs)
        return None if found is None else self.scale.goodness(found.goodness)

    def before_tuning(self, candidate: Candidate) -> Decision | None:
        """No tuning where another runtime has not run the model yet; and where, at the best that a tuning may
        bring (`Tunings`), a limit is missed, or a known trial is at least as good and better on all else."""
        hoped = self._tunings.hoped(candidate)
        if hoped is None:
            return Decision(reason=f"not tuned: {_NOT_YET}") if self._tunings.others else None
        missed = over_limit(self.limits, hoped.metrics)
        limit = self._hopeless(self.scale.goodness(hoped.goodness + self.bounds.margin(PRECISION)))
        if missed or limit is not None:
            missed = missed or f"{self.scale.title} would miss {limit.text!r}"  # type: ignore[union-attr]
            return Decision(reason=f"not tuned: {_AT_BEST}, {missed}")
        best, value = self._rivals.best_ends(hoped.metrics), self.scale.goodness(hoped.goodness)
        as_good = hoped.goodness - 2 * self.scale.slack(hoped.goodness)
        beaten_by = None if best is None else self._rivals.better_than(as_good, best)
        if beaten_by is None:
            return None
        better = self._rivals.better_words(beaten_by, value, _values(hoped.metrics))
        return Decision(reason=f"not tuned: {_AT_BEST}, #{beaten_by.number} would be {better}")

    def before_training(self, candidate: Candidate, hardware: Hardware) -> Decision | None:
        """No training where a limit on the device is missed beyond error; where the best quality that the
        candidate could have (`QualityBounds`) misses a limit; or where a known trial is better than that, and
        better beyond error on every other objective.

        Where the weights may matter to what was measured (`hardware.doubt`), nothing is decided.
        """
        if hardware.doubt or any(quantity.is_estimate for quantity in hardware.metrics.values()):
            self._doubtful.add(candidate)  # at a milestone it is compared without intervals
        if hardware.doubt or hardware.refused:
            return None
        missed = over_limit(self.limits, hardware.metrics) or unknown(self.limits, hardware)
        if missed:
            return Decision(reason=missed)
        macs = hardware.metrics.get("macs")
        ceiling = self.bounds.ceiling(candidate, None if macs is None else macs.value)
        best = self._rivals.best_ends(hardware.metrics)
        most = None if ceiling is None else ceiling.goodness
        beaten_by = None if best is None else self._rivals.better_than(most, best)
        if ceiling is None:
            return None if beaten_by is None else self._without_bound(beaten_by, hardware.metrics)
        limit = self._hopeless(self.scale.goodness(ceiling.goodness))
        if limit is None and beaten_by is None:
            return None
        bound = self.bounds.explained(ceiling, candidate)
        return self._decision(bound, limit, beaten_by, _values(hardware.metrics))

    def at_milestone(
        self, candidate: Candidate, milestone: Milestone, best_hardware: Mapping[str, float] | None
    ) -> Decision | None:
        """No further training where the best quality that it could end with (`LearningCurves`) misses a
        limit, or where a known trial is better than that, and better beyond error than the best that any
        candidate of this training has in every other objective.

        `best_hardware` is the best value of each objective but the quality over all candidates that need the
        training in which the candidate is; None where they are not known, or where one is in doubt.
        """
        if not self._during_training:
            return None
        # What is deployed is compiled, and after "distill" maybe pruned: both may turn out better than this.
        later = (PRECISION, SPARSITY) if milestone.kind == DISTILL else (PRECISION,)
        bound = self.curves.bound(milestone, self.bounds.margin(*later))
        if bound is None:
            return None
        limit = self._hopeless(bound.value)
        hardware = None if candidate in self._doubtful else best_hardware
        best = None
        if hardware is not None:
            best = self._rivals.best_ends({name: Quantity(value=value) for name, value in hardware.items()})
        most = self.scale.goodness(bound.value)
        beaten_by = None if best is None else self._rivals.better_than(most, best)
        if limit is None and beaten_by is None:
            return None
        return self._decision(bound, limit, beaten_by, hardware or {})

    def worth_climbing(
        self, candidate: Candidate, metrics: Mapping[str, Quantity], best_quality: float
    ) -> bool:
        """False where a limit is missed on the device or by this quality, or where a known trial is better
        than this quality, and better beyond error on every other objective."""
        if over_limit(self.limits, metrics) or self._hopeless(best_quality) is not None:
            return False
        best = self._rivals.best_ends(metrics)
        most = self.scale.goodness(best_quality)
        return best is None or self._rivals.better_than(most, best) is None

    def _hopeless(self, best_quality: float) -> Limit | None:
        """A limit that even this quality misses."""
        slack = self.scale.slack(best_quality)
        asked = self.scale.asked_by(self.limits)
        return next((limit for limit in asked if limit.violation(best_quality) > slack), None)

    def _decision(
        self, bound: Bound, limit: Limit | None, beaten_by: TrialRecord | None, own: Mapping[str, float]
    ) -> Decision:
        value = self.scale.text(bound.value)
        if limit is not None or beaten_by is None:
            assert limit is not None
            end = "at most" if self.scale.higher_is_better else "at least"
            return Decision(
                reason=f"{self.scale.title} is {end} {value} ({bound.basis}), "
                f"the limit is {limit.text!r}{_resolved(limit)}",
                bound=bound,
            )
        better = self._rivals.better_words(beaten_by, bound.value, own)
        return Decision(
            reason=f"even at {value} ({bound.basis}), #{beaten_by.number} would be {better}",
            bound=replace(bound, beaten_by=beaten_by.number),
        )

    def _without_bound(self, beaten_by: TrialRecord, own: Mapping[str, Quantity]) -> Decision:
        """Dominated on the device, where the quality is no objective and nothing is known about it."""
        value = beaten_by.evaluation.metrics[self.scale.metric].value
        basis = f"{self.scale.title} is no objective, and nothing bounds it; this is #{beaten_by.number}'s"
        better = self._rivals.better_words(beaten_by, value, _values(own))
        return Decision(
            reason=f"whatever its {self.scale.title}, #{beaten_by.number} would be {better}",
            bound=Bound(value=value, basis=basis, beaten_by=beaten_by.number),
        )


def _values(metrics: Mapping[str, Quantity]) -> dict[str, float]:
    return {name: quantity.value for name, quantity in metrics.items()}


def over_limit(limits: Sequence[Limit], measured: Mapping[str, Quantity]) -> str:
    """Which limits on the device a candidate misses, in words; empty where it misses none.

    A limit counts as missed only where the whole interval lies beyond it: a candidate that noise alone puts
    over a limit is trained and judged by its own measurement.
    """
    missed = []
    for limit in limits:
        quantity = measured.get(limit.metric)
        if limit.metric not in HARDWARE_METRICS or quantity is None:
            continue
        best = quantity.low if limit.upper else quantity.high
        if limit.violation(quantity.value if best is None else best) > 0:
            info = metric_info(limit.metric)
            value = (
                quantity_text(limit.metric, quantity) if quantity.is_estimate else info.format(quantity.value)
            )
            missed.append(f"{info.title} is {value}, the limit is {limit.text!r}{_resolved(limit)}")
    return "; ".join(missed)


def unknown(limits: Sequence[Limit], hardware: Hardware) -> str:
    """Which limits are on what the device does not tell, in words: what is not known is not met."""
    why = hardware.deployed.untold
    asked = (one for one in limits if one.metric in why and one.metric not in hardware.metrics)
    return "; ".join(
        f"{metric_info(one.metric).title} is not known ({why[one.metric]}), the limit is {one.text!r}"
        for one in asked
    )


def _resolved(limit: Limit) -> str:
    """The bound of a limit whose text does not tell it."""
    return f" ({metric_info(limit.metric).format(limit.bound)})" if limit.relative else ""
