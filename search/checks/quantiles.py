"""Normal and Student's distribution, by scipy's functions: normal where degrees of freedom are infinite."""

from __future__ import annotations

from math import isinf

from scipy.special import ndtr, ndtri, stdtr, stdtrit

NORMAL_95 = 1.959964


def above(value: float, degrees: float) -> float:
    """The chance of more than this."""
    return float(ndtr(-value) if isinf(degrees) else stdtr(degrees, -value))


def quantile(share: float, degrees: float) -> float:
    """What this share of cases does not exceed."""
    return float(ndtri(share) if isinf(degrees) else stdtrit(degrees, share))
