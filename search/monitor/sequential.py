"""How good something is, looked at again and again while labels come: p-values and intervals that hold at
all looks at once.

What is counted stays a martingale under the hypothesis, and one that starts at 1 ever exceeds 1/a with a
chance of at most a (Ville 1939). Howard et al. 2021 (doi:10.1214/20-AOS1991) have the mixtures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, log, sqrt

from scipy.special import betainc, betaln, ndtr

from ...profiles.quantity import Quantity

_CAREFUL = 0.01
"""Weight of a unit of variance in the mixture over means: best after some hundred labels."""


@dataclass(frozen=True)
class Scores:
    """So many scores, their sum and that of their squares."""

    count: float
    sum: float
    squares: float

    @property
    def mean(self) -> float:
        """Their mean."""
        return self.sum / self.count if self.count else 0.0

    @property
    def variance(self) -> float:
        """Of one score; with few of them, more than they show."""
        spread = max(self.squares / self.count - self.mean**2, 0.0)
        return spread * self.count / max(self.count - 1, 1) + 1e-12 * max(self.mean**2, 1e-12)


def share_is_at_least(scores: Scores, bound: float) -> float:
    """p-value, at all looks at once, of "the mean of these scores between 0 and 1 is `bound` or more": a
    mixture of likelihood ratios over all shares, which hold for any scores between 0 and 1."""
    good, bad = scores.sum, scores.count - scores.sum
    if scores.mean >= bound:
        return 1.0
    if bound >= 1.0:
        return 1.0 if bad <= 0 else 0.0
    likelihood = good * log(max(bound, 1e-300)) + bad * log(1 - bound)
    return min(1.0, exp(min(likelihood - float(betaln(good + 1, bad + 1)), 0.0)))


def mean_is_at_most(scores: Scores, bound: float) -> float:
    """p-value, at all looks at once, of "the mean of these scores is `bound` or less", for many scores."""
    if scores.mean <= bound:
        return 1.0
    moved = (scores.sum - scores.count * bound) / sqrt(scores.variance)
    weight = 1 + scores.count * _CAREFUL
    return min(1.0, exp(min(0.5 * log(weight) - _CAREFUL * moved**2 / (2 * weight), 0.0)))


def share_was_at_most(scores: Scores, bound: float) -> float:
    """p-value of "the share was `bound` or less" by one look."""
    if scores.mean <= bound:
        return 1.0
    return float(betainc(scores.sum, scores.count - scores.sum + 1, min(max(bound, 0.0), 1.0)))


def mean_was_at_least(scores: Scores, bound: float) -> float:
    """p-value of "the mean was `bound` or more" by one look."""
    return float(ndtr((scores.mean - bound) / sqrt(scores.variance / max(scores.count, 1))))


def share_fell(before: Scores, now: Scores, by: float) -> float:
    """p-value of "the share has not fallen by more than this" (`by` 0: not at all)."""
    return _both(
        lambda bound: share_is_at_least(now, bound),
        lambda bound: share_was_at_most(before, bound + by),
        (now.mean, max(before.mean - by, now.mean)),
    )


def mean_rose(before: Scores, now: Scores, factor: float) -> float:
    """p-value of "the mean has not risen by more than this factor"."""
    return _both(
        lambda bound: mean_is_at_most(now, bound),
        lambda bound: mean_was_at_least(before, bound / factor),
        (now.mean, min(before.mean * factor, now.mean)),
    )


def _both(now: Callable[[float], float], then: Callable[[float], float], ends: tuple[float, float]) -> float:
    """Both were wrong only where one of them is, whatever bound lies between; each has half of the level. At
    the first end nothing speaks against now, at the other one nothing against then."""
    from_now, from_then = ends
    if from_now == from_then:
        return 1.0
    for _ in range(60):
        middle = (from_now + from_then) / 2
        if now(middle) > then(middle):
            from_now = middle
        else:
            from_then = middle
    return min(1.0, 2 * max(now(from_then), then(from_then)))


def share_interval(scores: Scores, error: float = 0.05) -> Quantity:
    """The share with the interval that holds at all looks at once."""
    mirrored = Scores(scores.count, scores.count - scores.sum, 0.0)
    low = _end(lambda bound: share_is_at_least(mirrored, 1 - bound) < error, scores.mean, 0.0)
    high = _end(lambda bound: share_is_at_least(scores, bound) < error, scores.mean, 1.0)
    return Quantity(
        value=scores.mean, low=low, high=high, how=f"{scores.count:.0f} labels, any number of looks"
    )


def mean_interval(scores: Scores, error: float = 0.05) -> Quantity:
    """The mean with the interval that holds at all looks at once."""
    weight = 1 + scores.count * _CAREFUL
    reach = sqrt(2 * weight / _CAREFUL * (0.5 * log(weight) - log(error)) * scores.variance) / scores.count
    how = f"{scores.count:.0f} labels, any number of looks"
    return Quantity(value=scores.mean, low=scores.mean - reach, high=scores.mean + reach, how=how)


def _end(outside: Callable[[float], bool], inside: float, limit: float) -> float:
    if not outside(limit):
        return limit
    for _ in range(50):
        middle = (inside + limit) / 2
        inside, limit = (inside, middle) if outside(middle) else (middle, limit)
    return limit
