"""What a run under load tells: response times, how sure they are, and whether a limit on them holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

FEWEST_LATE = 2
"""Of independent requests beyond the percentile that is asked about: one may be chance."""


def needed_samples(share: float) -> int:
    """Independent requests without which nothing is said of a percentile with 99 % confidence: so many that
    fewer than two of them beyond it would be chance. 662 for a p99, 64 for a p90, as MLPerf LoadGen asks."""
    count = FEWEST_LATE
    while share**count + count * (1 - share) * share ** (count - 1) > 0.01:
        count += 1
    return count


@dataclass(frozen=True, kw_only=True)
class UnderLoad:
    """One run at `rate` requests a second (0: back to back). Of `arrivals` requests `served` were served in
    `seconds`, by `runs` that took `busy_s` together; `late_s` is the generator's own lateness (median, p99,
    most), `segments` are the sorted response times of parts of the run in milliseconds, in order."""

    rate: float
    arrivals: int
    served: int
    seconds: float
    runs: int
    busy_s: float
    late_s: tuple[float, float, float]
    mean_ms: float
    segments: tuple[Values, ...]

    @cached_property
    def responses_ms(self) -> Values:
        """All that count, sorted."""
        parts = [part for part in self.segments if len(part)]
        return np.sort(np.concatenate(parts)) if parts else np.zeros(0)

    @property
    def achieved(self) -> float:
        """Requests served in a second."""
        return self.served / self.seconds if self.seconds > 0 else 0.0

    @property
    def kept_up(self) -> bool:
        """Whether all that came was served."""
        return self.served == self.arrivals

    def percentile_ms(self, share: float) -> float:
        """The least response time that at least this share of them does not exceed."""
        values = self.responses_ms
        if not len(values):
            return math.inf
        return float(values[min(len(values), max(1, math.ceil(share * len(values) - 1e-9))) - 1])

    def independent(self, share: float) -> int:
        """To how many independent requests those that were served amount, for a percentile.

        Requests of one busy time resemble each other. How much is seen from how unevenly the slow ones are
        spread over the parts of the run (Kish's design effect), and from how much neighbouring parts agree.
        """
        found, count = self.percentile_ms(share), len(self.responses_ms)
        slow = np.array([np.mean(part > found) for part in self.segments if len(part)])
        mean = float(slow.mean()) if len(slow) else 0.0
        if len(slow) < 2 or not 0 < mean < 1:
            return count if len(slow) >= 2 else 0
        effect = float(slow.var(ddof=1)) * count / len(slow) / (mean * (1 - mean))
        return int(count / max(1.0, effect * _carried_over(slow)))

    def interval_ms(self, share: float) -> tuple[float, float]:
        """Where the percentile lies with 95 %, by as many independent requests; the end is infinite where
        there are too few of them beyond it."""
        low, high = _binomial(self.independent(share), share)
        return self.percentile_ms(low), self.percentile_ms(high) if high < 1 else math.inf


def _carried_over(slow: Values) -> float:
    """By how much more the parts' mean varies than their own variance says, as neighbours are alike."""
    middle = slow - slow.mean()
    alike = float((middle[1:] * middle[:-1]).sum() / (middle**2).sum())
    alike = min(0.9, max(0.0, alike - 1 / math.sqrt(len(slow))))  # what is left beyond chance
    return (1 + alike) / (1 - alike)


def _binomial(count: int, share: float) -> tuple[float, float]:
    """Shares between which a percentile of so many independent draws lies with 95 % (Woodruff 1952)."""
    from scipy.stats import binom

    if count < 1:
        return 0.0, 1.0
    low, high = binom.ppf((0.025, 0.975), count, share)
    return max(0.0, low / count), min(1.0, (high + 1) / count)
