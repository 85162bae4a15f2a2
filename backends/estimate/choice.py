"""Which models to measure, so that their latencies tell most of those of all others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .terms import Floats

_NOTHING = 1e-12


def most_telling(covariance: Floats, noise: Floats, count: int) -> list[int]:
    """The points that leave least unknown of all: one after the other, that which takes most of the variance.

    `covariance` is of what is not known, `noise` the variance that a measurement of each point has beside it.
    """
    unknown = covariance.copy()
    chosen: list[int] = []
    for _ in range(min(count, len(unknown))):
        whole = np.diag(unknown) + noise
        taken = (unknown**2).sum(axis=0) / np.maximum(whole, _NOTHING)
        taken[chosen] = -np.inf
        best = int(np.argmax(taken))
        chosen.append(best)
        unknown -= np.outer(unknown[best], unknown[best]) / max(whole[best], _NOTHING)
    return chosen


def evenly(values: Floats, count: int) -> NDArray[np.int64]:
    """Places of so many of the values, from the least to the largest in even steps of rank; all if fewer."""
    order: NDArray[np.int64] = np.argsort(values, kind="stable").astype(np.int64)
    steps = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(np.int64)
    return order.take(steps)
