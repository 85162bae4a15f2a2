"""Whether the time that is left is enough for another tuning."""

from __future__ import annotations

from collections.abc import Mapping

from ...profiles.precision import Precision
from ..record.candidate import Candidate
from .budget import Budget

FIRST_SHARE = 0.5
"""Of the time that is left, what tuning the teacher as it is may take, for the sake of the comparison."""


class TuningTime:
    """`seconds` has the backends that have to be tuned, with what one tuning may take. The `reference` is
    tuned in any case: without it there is no study."""

    def __init__(self, seconds: Mapping[str, float], budget: Budget, reference: Candidate) -> None:
        self._seconds, self._budget, self._reference = dict(seconds), budget, reference
        self._told: frozenset[str] = frozenset()

    def lacking(self, candidate: Candidate) -> str:
        """Why it cannot be tuned any more; empty where it can, or need not be."""
        needed = self._seconds.get(candidate.backend)
        if needed is None or candidate == self._reference:
            return ""
        first = candidate.is_teacher and candidate.precision is Precision.FP32
        left = self._budget.seconds_left * (FIRST_SHARE if first else 1.0)
        if needed <= left:
            return ""
        what = "half of what" if first else "what"
        return f"not tuned, which may take {needed:g} s: {what} is left of the budget is {left:.0f} s"

    def newly_short(self) -> bool:
        """Whether the time was enough for a backend when this was last asked, and is not now."""
        left = self._budget.seconds_left
        short = frozenset(name for name, needed in self._seconds.items() if needed > left)
        told, self._told = self._told, short
        return bool(short - told)
