"""Requests sized by what they send and by the time they take: none hits the hard limit by its sheer size.

A board may be a thousand times slower than this machine. What a request of many runs will take is known from
the ones before it: the first is small, and those that follow take a part of the limit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from ..contract.backend import Array, CalibrationData
from .reading import Reply
from .replies import nanoseconds

SENT_AT_ONCE_BYTES = 64 * 2**20
SHARE = 0.1
"""Of the limit, that a request may take by what was seen: a board that heats up gets slower by factors."""
GROWTH = 8
"""Times as many batches as in the request before: the first says little of those that follow."""

T = TypeVar("T")


class Pace:
    """Seconds that a run takes, as the latest request told. `limit_s` is the hard limit of a request."""

    def __init__(self, limit_s: float) -> None:
        self._aim = SHARE * limit_s
        self._run_s: float | None = None

    @property
    def most(self) -> int:
        """So many runs may be asked for at once: one, until one was seen."""
        return 1 if self._run_s is None else max(1, int(self._aim / max(self._run_s, 1e-9)))

    def took(self, runs: int, seconds: float) -> None:
        """A request of so many runs took so long."""
        self._run_s = seconds / runs


def paced(
    data: CalibrationData,
    batch: int,
    pace: Pace,
    ask: Callable[[dict[str, Array]], T],
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[T]:
    """What is answered for parts of the samples, which are quick to send and to compute: whole batches, so
    that only the last is filled up."""
    rows, first = len(next(iter(data.values()))), 0
    if rows == 0:
        raise ValueError("there are no samples to infer")
    row_bytes = max(1, sum(array.nbytes for array in data.values()) // rows)
    sendable = max(1, SENT_AT_ONCE_BYTES // (row_bytes * batch))
    batches = 1
    while first < rows:
        part = {name: array[first : first + batches * batch] for name, array in data.items()}
        before = clock()
        yield ask(part)
        pace.took(batches, clock() - before)
        first += batches * batch
        batches = min(sendable, pace.most, GROWTH * batches)


def sampled(loops: int, count: int, pace: Pace, ask: Callable[[Mapping[str, int]], Reply]) -> list[int]:
    """Nanoseconds of `count` samples of `loops` runs each, asked for in as many requests as their time makes
    necessary."""
    found: list[int] = []
    while len(found) < count:
        some = min(count - len(found), max(1, pace.most // loops))
        told = nanoseconds(ask({"loops": loops, "count": some}), some, loops)
        pace.took(some * loops, sum(told) / 1e9)
        found += told
    return found
