"""Whether what is shipped still holds its limits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ...profiles.quantity import Quantity
from ..checks.evidence import Evidence, Question, unpaired
from ..checks.tolerances import Tolerance
from ..record.evaluation import Limit
from .baseline import Baseline, Shippable
from .pairing import BETWEEN_NIGHTS, sound
from .subjects import limit_subject


@dataclass(frozen=True, kw_only=True)
class LimitsHeld:
    """Limits that what was shipped then has met, asked of what is shipped tonight."""

    then: Baseline
    now: Baseline

    def evidence(self) -> Iterator[Evidence]:
        """One question for each, with no tolerance: the limit is what is tolerated."""
        before, after = self.then.shipped, self.now.shipped
        if before is None or after is None:
            return
        for limit in self.now.limits:
            if _holds(limit, before) is True and _holds(limit, after) is not None:
                yield _asked(limit, after)


def _holds(limit: Limit, one: Shippable) -> bool | None:
    quantity = one.metrics.get(limit.metric)
    if quantity is None or not sound(quantity):
        return None
    return quantity.value <= _bound(limit, one) if limit.upper else quantity.value >= _bound(limit, one)


def _bound(limit: Limit, one: Shippable) -> float:
    on_test = limit.bound_on_test
    return on_test if on_test is not None and one.split == "test" else limit.bound


def _asked(limit: Limit, one: Shippable) -> Evidence:
    question = Question(
        subject=limit_subject(limit),
        metric=limit.metric,
        tolerance=Tolerance(amount=0.0, relative=False),
        higher=not limit.upper,
    )
    bound = Quantity(value=_bound(limit, one), how="the limit")
    return unpaired(question, bound, one.metrics[limit.metric], between=BETWEEN_NIGHTS.get(limit.metric, 0.0))
