"""A number with its interval, the one form in which measured values travel; and whether it was disturbed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite


@dataclass(frozen=True, kw_only=True)
class SampleResults:
    """What a score is made of, so that two scores on the same samples can be compared pair by pair.

    `samples` names the samples and the metric: scores of one name belong together. `kind` is "hits" (one bit
    for each of the `count` samples, the score is their mean) or "draws" (float32 scores over resampled
    samples, the same resamples for every model); or "cases": what an estimate may come to in `count` cases
    that are the same for all estimates of one name. `data` holds them in base64.
    """

    samples: str
    kind: str
    count: int
    data: str


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A number with its interval (None where there is none) and where it comes from.

    `provenance` is "measured" or "estimated": the interval is that of 95 % confidence of the one, and
    holds the true value of the other in 90 % of cases; `how` says in a few words how it was obtained.
    `by_sample` is there for scores over samples.
    """

    value: float
    low: float | None = None
    high: float | None = None
    provenance: str = "measured"
    how: str = ""
    by_sample: SampleResults | None = None

    @property
    def is_estimate(self) -> bool:
        """Whether nobody has measured it."""
        return self.provenance == "estimated"

    @property
    def ends(self) -> tuple[float, float]:
        """The interval with the value in it; an end that is not there, or not finite, is the value itself."""
        value = self.value
        low, high = (value if end is None or not isfinite(end) else end for end in (self.low, self.high))
        return min(low, value), max(high, value)


_NOISY = "noisy because "


def stability(disturbed_by: Sequence[str]) -> str:
    """What records keep of how quiet the machine was while something was measured."""
    return f"{_NOISY}{', '.join(disturbed_by)}" if disturbed_by else "stable"


def was_noisy(kept: str) -> bool:
    """What `stability` has said."""
    return kept.startswith(_NOISY)
