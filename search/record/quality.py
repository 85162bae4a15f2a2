"""Which way quality is better, and how far apart two values of it are."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from .metrics import metric_info

ROUNDING = 1e-9
"""A bound is exceeded only by more than this share: it is a sum, and sums are rounded."""


@dataclass(frozen=True, kw_only=True)
class QualityScale:
    """The workload's metric. `is_share`: its values lie between 0 and 1."""

    metric: str
    higher_is_better: bool
    is_share: bool

    def goodness(self, value: float) -> float:
        """The value turned so that more is better; of a goodness, the value."""
        return value if self.higher_is_better else 0.0 - value

    def slack(self, value: float) -> float:
        """By how much a bound must be exceeded to count."""
        return ROUNDING * max(1.0, abs(value))

    @property
    def best(self) -> float:
        """The goodness that nothing exceeds."""
        if not self.is_share:
            return inf
        return 1.0 if self.higher_is_better else 0.0

    @property
    def title(self) -> str:
        """ "accuracy"."""
        return metric_info(self.metric, self.higher_is_better).title.lower()

    def text(self, value: float) -> str:
        """A value with its unit."""
        return metric_info(self.metric, self.higher_is_better).format(value)

    def difference(self, amount: float) -> str:
        """A difference of two values with its unit; shares differ by points."""
        info = metric_info(self.metric, self.higher_is_better)
        return f"{100 * amount:.3g} pt" if info.unit == "share" else info.format(amount)
