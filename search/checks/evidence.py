"""What speaks for a metric having become worse, before it is decided how many questions were asked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, inf, log, sqrt

from ...profiles.quantity import Quantity
from ..record.checks import Scale
from ..record.metrics import AMOUNTS, metric_info
from .quantiles import NORMAL_95, above, quantile
from .tolerances import Tolerance

_BY_FACTORS = frozenset({"latency_ratio", "rmse", "mae", "perplexity"})


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is checked: a metric of a subject ("trial 12", "the bundle"), and by how much it may be worse.

    `higher` says which way it is better (None: as the table of metrics has it)."""

    subject: str
    metric: str
    tolerance: Tolerance
    higher: bool | None = None

    @property
    def higher_is_better(self) -> bool:
        """The direction."""
        return metric_info(self.metric).higher_is_better if self.higher is None else self.higher

    def margin(self, expected: Quantity, scale: Scale) -> float:
        """The tolerance as a loss: on the scale on which errors add up, logarithms for a ratio."""
        tolerance = self.tolerance
        if scale is not Scale.RATIO:
            return tolerance.amount * (abs(expected.value) if tolerance.relative else 1.0)
        share = tolerance.amount if tolerance.relative else tolerance.amount / expected.value
        return -log(max(1 - share, 1e-12)) if self.higher_is_better else log(1 + share)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One question with what speaks for a loss, not decided yet.

    `loss` is the change towards worse and `margin` the most of it that passes, both on the scale on which
    errors add up; `error` is the standard error of the loss with so many `degrees` of freedom (0: nothing is
    left to chance); its square grows by `growth` with each unit of loss, as that of a share does. `p` is the
    chance of such a loss, or a larger one, where the tolerated one is true. `unchanged`: then and now are
    alike in every part that was compared. `skipped`: it could not be asked; `open_because`: what was found
    must not decide, since what is compared is not comparable; `doubt`: why it must not fail, though it may
    pass. `noted`: what has not become worse beyond noise is told, and not judged.
    """

    question: Question
    scale: Scale
    loss: float = 0.0
    margin: float = 0.0
    error: float = 0.0
    degrees: float = inf
    growth: float = 0.0
    p: float = 1.0
    unchanged: bool = False
    skipped: bool = False
    open_because: str = ""
    doubt: str = ""
    noted: bool = False
    expected: Quantity | None = None
    found: Quantity | None = None
    change: Quantity | None = None
    reason: str = ""

    @property
    def random(self) -> bool:
        """Whether chance has a part in it."""
        return not self.skipped and not self.unchanged and not self.open_because and self.error > 0

    def error_at(self, loss: float) -> float:
        """What the standard error would be with a loss of so much."""
        return sqrt(self.error**2 + self.growth * max(0.0, loss - max(0.0, self.loss)))

    def told(self, loss: float) -> float:
        """A loss as a change of the metric: a ratio, or a difference in its unit."""
        higher = self.question.higher_is_better and self.scale is not Scale.COUNT
        signed = -loss if higher else loss
        return exp(min(signed, 700.0)) if self.scale is Scale.RATIO else signed

    def open(self, because: str) -> Evidence:
        """The same, where what was found must not decide."""
        return replace(self, open_because=because)

    def doubted(self, why: str) -> Evidence:
        """The same, where a loss would have another cause ("": none is known)."""
        return replace(self, doubt=self.doubt or why)


def skipped(question: Question, reason: str) -> Evidence:
    """It cannot be asked here; `reason` says why, and what to do."""
    return Evidence(question=question, scale=Scale.DIFFERENCE, skipped=True, reason=reason)


def fact(question: Question, wrong: int, reason: str = "") -> Evidence:
    """Something that either is as it was or is not: `wrong` counts what is not."""
    count = Quantity(value=float(wrong), how="counted")
    return Evidence(
        question=question,
        scale=Scale.COUNT,
        loss=float(wrong),
        p=0.0 if wrong else 1.0,
        expected=Quantity(value=0.0),
        found=count,
        change=count,
        reason=reason,
    )


def scale_of(metric: str, expected: Quantity, found: Quantity) -> Scale:
    """Amounts, and what is compared by factors, change by ratios; shares, decibels and numbers that may be
    negative by differences."""
    factors = metric_info(metric).unit in AMOUNTS or metric in _BY_FACTORS
    return Scale.RATIO if factors and min(expected.value, found.value) > 0 else Scale.DIFFERENCE


def unpaired(
    question: Question,
    expected: Quantity,
    found: Quantity,
    *,
    degrees: float = inf,
    between: float = 0.0,
    reason: str = "",
) -> Evidence:
    """Two values that were measured apart, by their own intervals.

    `degrees` are those of each interval, where it was taken from a few processes; the two together have
    those of Welch (1947, doi:10.1093/biomet/34.1-2.28). `between` is the standard deviation, on the metric's
    scale, of what two such measurements differ by beyond their intervals: what a machine is like from one
    day to the next. Where neither value has an interval, they are taken for exact.
    """
    scale, higher = scale_of(question.metric, expected, found), question.higher_is_better
    then, now = _on(scale, expected.value), _on(scale, found.value)
    # Of each interval the side towards the other value counts.
    parts = [_error(scale, found, degrees, up=higher), _error(scale, expected, degrees, up=not higher)]
    return tested(
        Evidence(
            question=question,
            scale=scale,
            loss=then - now if higher else now - then,
            margin=question.margin(expected, scale),
            error=sqrt(sum(part**2 for part in (*parts, between))),
            degrees=welch([*parts, between], [degrees, degrees, inf]),
            expected=expected,
            found=found,
            reason=reason,
        )
    )


def tested(evidence: Evidence) -> Evidence:
    """With the p-value and the interval of the change that its error gives."""
    beyond = evidence.loss - evidence.margin
    slack = 1e-9 * max(1.0, abs(evidence.margin))
    p = above(beyond / evidence.error, evidence.degrees) if evidence.error else float(beyond <= slack)
    half = quantile(0.975, evidence.degrees) * evidence.error
    low, high = sorted(evidence.told(evidence.loss + way * half) for way in (-1, 1))
    value = evidence.told(evidence.loss)
    change = Quantity(value=value, low=low, high=high) if half else Quantity(value=value)
    return replace(evidence, p=p, change=change)


def welch(errors: list[float], degrees: list[float]) -> float:
    """Degrees of freedom of a sum of independent errors."""
    squares = [error**2 for error in errors]
    below = sum(square**2 / free for square, free in zip(squares, degrees, strict=True))
    return sum(squares) ** 2 / below if below else inf


def _on(scale: Scale, value: float) -> float:
    return log(value) if scale is Scale.RATIO else value


def _error(scale: Scale, quantity: Quantity, degrees: float, *, up: bool) -> float:
    low, high = quantity.ends
    if scale is Scale.RATIO:
        low = max(low, quantity.value * 1e-6)
    value = _on(scale, quantity.value)
    side = _on(scale, high) - value if up else value - _on(scale, low)
    return side / (quantile(0.975, degrees) if degrees < inf else NORMAL_95)
