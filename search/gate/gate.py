"""The gate: what misses a limit on the device or is certain to be dominated is not worth training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from ..ranking.known import _resolved, over_limit
from ..record.candidate import Candidate
from ..record.evaluation import Bound, Limit, Objective, Quantity, TrialRecord
from ..record.metrics import metric_info
from ..record.protocols import Decision, Hardware, Rung
from ..record.quality import QualityScale
from ..record.training import DISTILL
from .bounds import PRECISION, SPARSITY, QualityBounds
from .learning_curves import LearningCurves
from .rivals import KnownPoints

BestHardware = Callable[[Candidate], Mapping[str, float] | None]


class Gate:
    """A judge that learns from every trial of one study; see docs of `before_training` and `at_rung`.

    `limits` are set as soon as they are known. `margin` is what a compressed model may be better than its
    less compressed relatives, in the metric's unit. `quality_is_share`: the metric lies between 0 and 1.
    `best_hardware` gives the best value of each objective but the quality over all candidates that need the
    training in which the candidate is; None where they are not known, or where one is in doubt.
    `higher_is_better` is the quality's direction where it is no objective and not in the table of metrics.
    Without `during_training` it never gives up a training.
    """

    def __init__(
        self,
        objectives: Sequence[Objective],
        quality: str,
        quality_is_share: bool,
        margin: float,
        best_hardware: BestHardware,
        higher_is_better: bool | None = None,
        during_training: bool = True,
    ) -> None:
        named = [o.higher_is_better for o in objectives if o.metric == quality]
        known = metric_info(quality).higher_is_better if higher_is_better is None else higher_is_better
        scale = QualityScale(metric=quality, higher_is_better=(*named, known)[0], is_share=quality_is_share)
        self.scale, self.best_hardware = scale, best_hardware
        self.bounds, self.curves = QualityBounds(scale, margin), LearningCurves(scale)
        self._points = KnownPoints(objectives, scale)
        self._doubtful: set[Candidate] = set()
        self._during_training = during_training

    @property
    def limits(self) -> tuple[Limit, ...]:
        """The study's limits, resolved."""
        return self._points.limits

    @limits.setter
    def limits(self, limits: Sequence[Limit]) -> None:
        self._points.judge_by(tuple(limits))

    def learn(self, record: TrialRecord) -> None:
        """Take in a trial that has ended."""
        self.bounds.learn(record)
        self.curves.learn(record)
        self._points.learn(record)

    def before_training(self, candidate: Candidate, hardware: Hardware) -> Decision | None:
        """No training where a limit on the device is missed beyond error; where the best quality that the
        candidate could have (`QualityBounds`) misses a limit; or where a known trial is better than that, and
        better beyond error on every other objective.

        Where the weights may matter to what was measured (`hardware.doubt`), nothing is decided.
        """
        if hardware.doubt:
            self._doubtful.add(candidate)
        if hardware.doubt or hardware.refused:
            return None
        missed = over_limit(self.limits, hardware.metrics)
        if missed:
            return Decision(reason=missed)
        macs = hardware.metrics.get("macs")
        ceiling = self.bounds.ceiling(candidate, None if macs is None else macs.value)
        best = self._points.best_ends(hardware.metrics)
        most = None if ceiling is None else ceiling.goodness
        beaten_by = None if best is None else self._points.better_than(most, best)
        if ceiling is None:
            return None if beaten_by is None else self._without_bound(beaten_by, hardware.metrics)
        limit = self._hopeless(self.scale.goodness(ceiling.goodness))
        if limit is None and beaten_by is None:
            return None
        bound = self.bounds.explained(ceiling, candidate)
        return self._decision(bound, limit, beaten_by, _values(hardware.metrics))

    def at_rung(self, candidate: Candidate, rung: Rung) -> Decision | None:
        """No further training where the best quality that it could end with (`LearningCurves`) misses a
        limit, or where a known trial is better than that, and better beyond error than the best that any
        candidate of this training has in every other objective.
        """
        if not self._during_training:
            return None
        # What is deployed is compiled, and after "distill" maybe pruned: both may turn out better than this.
        later = (PRECISION, SPARSITY) if rung.kind == DISTILL else (PRECISION,)
        bound = self.curves.bound(rung, self.bounds.margin(*later))
        if bound is None:
            return None
        limit = self._hopeless(bound.value)
        hardware = None if candidate in self._doubtful else self.best_hardware(candidate)
        best = None
        if hardware is not None:
            best = self._points.best_ends({name: Quantity(value=value) for name, value in hardware.items()})
        most = self.scale.goodness(bound.value)
        beaten_by = None if best is None else self._points.better_than(most, best)
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
        best = self._points.best_ends(metrics)
        most = self.scale.goodness(best_quality)
        return best is None or self._points.better_than(most, best) is None

    def _hopeless(self, best_quality: float) -> Limit | None:
        """A limit that even this quality misses."""
        for limit in self.limits:
            bounds_quality = limit.metric == self.scale.metric and limit.upper != self.scale.higher_is_better
            if bounds_quality and limit.violation(best_quality) > self.scale.slack(best_quality):
                return limit
        return None

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
        better = self._points.better_words(beaten_by, bound.value, own)
        return Decision(
            reason=f"even at {value} ({bound.basis}), #{beaten_by.number} would be {better}",
            bound=replace(bound, beaten_by=beaten_by.number),
        )

    def _without_bound(self, beaten_by: TrialRecord, own: Mapping[str, Quantity]) -> Decision:
        """Dominated on the device, where the quality is no objective and nothing is known about it."""
        value = beaten_by.evaluation.metrics[self.scale.metric].value
        basis = f"{self.scale.title} is no objective, and nothing bounds it; this is #{beaten_by.number}'s"
        better = self._points.better_words(beaten_by, value, _values(own))
        return Decision(
            reason=f"whatever its {self.scale.title}, #{beaten_by.number} would be {better}",
            bound=Bound(value=value, basis=basis, beaten_by=beaten_by.number),
        )


def _values(metrics: Mapping[str, Quantity]) -> dict[str, float]:
    return {name: quantity.value for name, quantity in metrics.items()}
