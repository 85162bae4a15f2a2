"""An open-loop load generator: requests come at their own times, whether the server is ready or not.

One server takes them in order of arrival; where it can take several at once, it takes those that wait, and
does not wait for more. The response time of a request counts from when it was to come, so that time in the
queue is in it, and no request that comes while the server is busy is left out or moved ("coordinated
omission", Tene 2013).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .arrivals import Nanoseconds
from .clock import Clock

Serve = Callable[[int], object]
"""Serves so many requests at once; comes back when they are done."""


@dataclass(frozen=True, kw_only=True)
class Served:
    """One run of the generator, in nanoseconds from its start.

    `arrivals` are the requests that were to come, of which the first `count` were served: in runs that began
    at `begun` with the request number `first` and ended at `ended`. `late` is, of each run that found the
    server idle, how much later it began than its request was to come: what generator and system add.
    """

    arrivals: Nanoseconds
    count: int
    first: Nanoseconds
    begun: Nanoseconds
    ended: Nanoseconds
    late: Nanoseconds

    @property
    def responses(self) -> Nanoseconds:
        """From when each served request was to come to when it was done."""
        sizes = np.diff(np.append(self.first, self.count))
        done: Nanoseconds = np.repeat(self.ended, sizes)
        return done - self.arrivals[: self.count]

    @property
    def busy(self) -> int:
        """Time in which the server was at work."""
        return int((self.ended - self.begun).sum())

    @property
    def seconds(self) -> float:
        """From the start to the end of the last run."""
        return float(self.ended[-1]) / 1e9 if len(self.ended) else 0.0


def offered(
    arrivals: Nanoseconds, serve: Serve, clock: Clock, batch: int = 1, limit_s: float = 60.0
) -> Served:
    """Offer requests to a server that takes up to `batch` at once; no run begins after `limit_s`."""
    start = clock.now()
    came = (arrivals + start).tolist()
    end, count, now, i = start + int(limit_s * 1e9), len(came), start, 0
    first, begun, ended, late = list[int](), list[int](), list[int](), list[int]()
    while i < count and now <= end:
        if came[i] > now:
            if came[i] > end:
                break
            now = clock.wait_until(came[i])
            late.append(now - came[i])
        first.append(i)
        begun.append(now)
        i = _taken(came, i, now, batch)
        serve(i - first[-1])
        now = clock.now()
        ended.append(now)
    return Served(
        arrivals=arrivals,
        count=i,
        first=np.array(first, np.int64),
        begun=_since(begun, start),
        ended=_since(ended, start),
        late=np.array(late, np.int64),
    )


def _taken(came: list[int], at: int, now: int, batch: int) -> int:
    """The first request after those that are served together from `at` on."""
    last, after = min(len(came), at + batch), at + 1
    while after < last and came[after] <= now:
        after += 1
    return after


def _since(times: list[int], start: int) -> NDArray[np.int64]:
    return np.array(times, np.int64) - start
