"""How many of so many: whether a share is larger than tolerated, without any approximation."""

from __future__ import annotations

from scipy.special import bdtrc, betaincinv

from ...profiles.quantity import Quantity
from ..record.checks import Scale
from .evidence import Evidence, Question
from .quantiles import NORMAL_95


def share_beyond(question: Question, count: int, of: int, reason: str = "") -> Evidence:
    """`count` of `of` independent cases have what should not be there (a decision that flipped). The p-value
    is the exact binomial one, the interval Clopper and Pearson's (1934, doi:10.1093/biomet/26.4.404)."""
    share = Quantity(value=count / of, low=_end(count, of, 0.025), high=_end(count + 1, of, 0.975))
    low, high = share.ends
    return Evidence(
        question=question,
        scale=Scale.DIFFERENCE,
        loss=share.value,
        margin=question.tolerance.amount,
        error=(high - low) / 2 / NORMAL_95,
        growth=1 / of,
        p=float(bdtrc(count - 1, of, question.tolerance.amount)) if count else 1.0,
        unchanged=count == 0,
        expected=Quantity(value=0.0),
        found=share,
        change=share,
        reason=reason or f"{count} of {of}",
    )


def _end(count: int, of: int, share: float) -> float:
    if not 0 < count <= of:
        return 0.0 if count <= 0 else 1.0
    return float(betaincinv(count, of - count + 1, share))
