"""Which way quality is better, whether it is a share, and how far apart two values of it are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from .evaluation import Limit, StudyRecord
from .metrics import metric_info

ROUNDING = 1e-9
"""A bound is exceeded only by more than this share: it is a sum, and sums are rounded."""


@dataclass(frozen=True, kw_only=True)
class QualityScale:
    """The workload's metric. `is_share`: its values lie between 0 and 1."""

    metric: str
    higher_is_better: bool
    is_share: bool

    @classmethod
    def of(cls, metric: str, higher_is_better: bool = True) -> QualityScale:
        """The scale of a metric of that name and direction."""
        is_share = metric_info(metric).unit == "share"
        return cls(metric=metric, higher_is_better=higher_is_better, is_share=is_share)

    @classmethod
    def of_record(cls, record: StudyRecord) -> QualityScale:
        """That of a study."""
        return cls.of(record.quality, higher_is_better(record, record.quality))

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

    def asked_by(self, limits: Iterable[Limit]) -> list[Limit]:
        """Those of the limits that a quality which is too bad misses."""
        return [x for x in limits if x.metric == self.metric and x.upper != self.higher_is_better]

    @property
    def title(self) -> str:
        """ "accuracy"."""
        return metric_info(self.metric).title.lower()

    def text(self, value: float) -> str:
        """A value with its unit."""
        return metric_info(self.metric).format(value)

    def difference(self, amount: float) -> str:
        """A difference of two values with its unit."""
        return metric_info(self.metric).difference(amount)


def higher_is_better(record: StudyRecord, metric: str) -> bool:
    """The direction of any metric of a study: as an objective, else a limit, else the table says it."""
    for objective in record.objectives:
        if objective.metric == metric:
            return objective.higher_is_better
    for limit in record.limits:
        if limit.metric == metric:
            return not limit.upper
    return metric_info(metric).higher_is_better
