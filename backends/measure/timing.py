"""The only clock of the project's measurements: runs a session and says how long that took."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from itertools import repeat
from typing import TypeVar

from ..contract.backend import Feed, Session

T = TypeVar("T")


def timed(action: Callable[[], T]) -> tuple[T, float]:
    """Result of `action` and the milliseconds it took."""
    start = time.perf_counter_ns()
    result = action()
    return result, (time.perf_counter_ns() - start) / 1e6


def sample(session: Session, feed: Feed, loops: int, count: int) -> list[int]:
    """Nanoseconds of `count` samples of `loops` consecutive runs each, on a feed that was checked.

    The garbage collector rests meanwhile. A session with a simulated time runs once and is charged that.
    """
    if session.simulated_ns is not None:
        session._run(feed)
        return [session.simulated_ns * loops] * count
    collecting = gc.isenabled()
    gc.disable()
    try:
        return [_one(session, feed, loops) for _ in range(count)]
    finally:
        if collecting:
            gc.enable()


def _one(session: Session, feed: Feed, loops: int) -> int:
    run = session._run
    start = time.perf_counter_ns()
    for _ in repeat(None, loops):
        run(feed)
    return time.perf_counter_ns() - start
