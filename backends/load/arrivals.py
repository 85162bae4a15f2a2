"""When requests come: a Poisson process, whose gaps are independent and exponential."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Nanoseconds = NDArray[np.int64]


def poisson(rate: float, count: int, seed: int) -> Nanoseconds:
    """Nanoseconds from a start at which `count` requests come. All of them take as long as the `rate` (of a
    second) says, so that chance does not change the load: a Poisson process whose count is given.
    """
    gaps = np.random.default_rng(seed).exponential(1.0, count)
    found: Nanoseconds = (np.cumsum(gaps) * (1e9 * count / rate / gaps.sum())).astype(np.int64)
    return found


def at_once(count: int) -> Nanoseconds:
    """All at the start: a queue that is never empty."""
    return np.zeros(count, np.int64)
