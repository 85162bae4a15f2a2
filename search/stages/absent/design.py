"""Which artifacts to time on a device, so that few of them tell most about all others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ....backends.estimate.latency import Configuration
from ....backends.estimate.terms import terms_ms
from ...record.arrays import Floats

MOST = 10


def spread_out(configurations: Sequence[Configuration], count: int = MOST) -> list[int]:
    """Places of so many configurations that lie far from one another: the first of all, then always the one
    that is farthest from those before. Far is what spends its time on other things, or on another runtime.
    Two that cost the same tell the same, so that there may be fewer."""
    if not configurations:
        return []
    described = _described(configurations)
    chosen, apart = [0], np.full(len(described), np.inf)
    while len(chosen) < count:
        apart = np.minimum(apart, np.linalg.norm(described - described[chosen[-1]], axis=1))
        farthest = int(np.argmax(apart))
        if apart[farthest] <= 0:
            break
        chosen.append(farthest)
    return chosen


def _described(configurations: Sequence[Configuration]) -> Floats:
    """[configurations, features]: shares of what takes the time, the logarithm of it, and the runtime."""
    terms = np.array([terms_ms(one.cost, one.situation) for one in configurations])
    whole = terms.sum(axis=1)
    runtimes = sorted({one.situation.runtime for one in configurations})
    on = np.array([[float(one.situation.runtime == name) for name in runtimes] for one in configurations])
    found: Floats = np.hstack([terms / whole[:, None], np.log(whole)[:, None] / 3, on])
    return found
