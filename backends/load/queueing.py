"""What a queue does with service times that were measured: response times at any load, without a device.

Poisson arrivals, first come, first served, one server: each request waits as long as the one before it is
not done (Lindley's recursion, 1952). Times are in milliseconds, rates in requests a second.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

MOST_UTILIZATION = 0.95
"""Of what a session can do without a pause: closer to it, the smallest change of the device decides how long
the queue grows, and no run of minutes shows the end of it."""
_LEAST_SHARE, _CLOSE, _NEAR = 1e-4, 1.005, 1.15


@dataclass(frozen=True, kw_only=True)
class ResponseBound:
    """Of the response times at most `1 - share` may be longer than `most_ms`."""

    share: float
    most_ms: float


@dataclass(frozen=True, kw_only=True)
class QueuePath:
    """Requests in order: the `gaps` before each (mean 1, stretched to a rate), and what runs take in order;
    a run serves up to `batch` requests that wait."""

    gaps: Values
    runs_ms: Values
    batch: int = 1

    @property
    def capacity(self) -> float:
        """Requests a second where none is ever waited for."""
        return self.batch * 1e3 / float(self.runs_ms.mean())

    def responses_ms(self, rate: float) -> Values:
        """From when each request comes to when it is done, in order; the first twentieth is left out, as the
        queue is empty at first."""
        came = np.cumsum(self.gaps) * (1e3 / rate)
        alone = self.batch == 1
        done = _one_by_one(came, self.runs_ms) if alone else _together(came, self.runs_ms, self.batch)
        return (done - came)[len(came) // 20 :]

    def holds(self, rate: float, bounds: Sequence[ResponseBound]) -> bool:
        """Whether the response times at a rate keep to all bounds."""
        responses = self.responses_ms(rate)
        return all(float(np.quantile(responses, bound.share)) <= bound.most_ms for bound in bounds)


def _one_by_one(came: Values, takes: Values) -> Values:
    work = np.cumsum(takes)
    found: Values = np.maximum.accumulate(came - (work - takes)) + work
    return found


def _together(came: Values, takes: Values, batch: int) -> Values:
    done, free, first, number = np.empty_like(came), 0.0, 0, 0
    times, runs, count = came.tolist(), takes.tolist(), len(came)
    while first < count:
        begins = max(free, times[first])
        last, after = min(count, first + batch), first + 1
        while after < last and times[after] <= begins:
            after += 1
        free = begins + runs[number]
        done[first:after] = free
        first, number = after, number + 1
    return done


def largest_rate(path: QueuePath, bounds: Sequence[ResponseBound], near: float = 0.0) -> float:
    """The largest rate at which all bounds hold, found by bisection to within half a per cent; 0 where none
    does, at most `MOST_UTILIZATION` of the capacity. Without bounds the capacity itself. `near`: a rate that
    it is expected to be near."""
    if not bounds:
        return path.capacity
    low, high = _LEAST_SHARE * path.capacity, MOST_UTILIZATION * path.capacity
    if path.holds(high, bounds):
        return high
    if low < near / _NEAR and path.holds(near / _NEAR, bounds):
        low = near / _NEAR
    elif not path.holds(low, bounds):
        return 0.0
    if near and low < near * _NEAR < high and not path.holds(near * _NEAR, bounds):
        high = near * _NEAR
    return _between(low, high, lambda rate: path.holds(rate, bounds))


def _between(low: float, high: float, holds: Callable[[float], bool]) -> float:
    while high > _CLOSE * low:
        # The first steps are by factors, as the ends may lie far apart.
        middle = (low * high) ** 0.5 if high > 2 * low else (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
