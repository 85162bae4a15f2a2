"""What a runner does when it is asked to keep what is open in it at work: `back to back`, without a pause."""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..contract.backend import Feed, Session
from .histogram import bins_of

SLICES = 10
"""Parts of the time, in order, whose runs are told apart."""
MOST_SECONDS, _MOST_RUNS, _CHUNK = 60.0, 2_000_000, 2_000


def back_to_back(session: Session, feed: Feed, body: Mapping[str, Any]) -> dict[str, Any]:
    """Run the open session for so many `seconds`, at least once, each run timed by itself. The answer is that
    of `operation.load`, with runs in the place of requests.

    A session with a simulated time runs once and is charged that for all the time.
    """
    seconds = float(body["seconds"])
    if not feed or not 0 < seconds <= MOST_SECONDS:
        raise ValueError(f"{seconds:g} s at work are none, or nothing was prepared")
    if session.simulated_ns is not None:
        session._run(feed)
        takes = session.simulated_ns
        runs = min(_MOST_RUNS, max(1, int(seconds * 1e9 / takes)))
        return _told([Counter({_bin(takes): runs})], runs * takes, runs * takes)
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _worked(session, feed, seconds)
    finally:
        if collecting:
            gc.enable()


def _worked(session: Session, feed: Feed, seconds: float) -> dict[str, Any]:
    now = start = time.perf_counter_ns()
    found, busy, runs = list[Counter[int]](), 0, 0
    for part in range(1, SLICES + 1):
        end, counts = start + int(seconds * 1e9 * part / SLICES), Counter[int]()
        while (now < end or not runs) and runs < _MOST_RUNS:
            times = _times(session, feed, end)
            counts.update(bins_of(np.array(times, np.int64)).tolist())
            busy, runs = busy + sum(times), runs + len(times)
            now = time.perf_counter_ns()
        if counts:
            found.append(counts)
    return _told(found, busy, now - start)


def _times(session: Session, feed: Feed, end: int) -> list[int]:
    """Nanoseconds of runs one after the other, until that time has come or there are many."""
    clock, run, times = time.perf_counter_ns, session._run, list[int]()
    while len(times) < _CHUNK:
        before = clock()
        run(feed)
        after = clock()
        times.append(after - before)
        if after >= end:
            break
    return times


def _bin(nanoseconds: int) -> int:
    return int(bins_of(np.array([nanoseconds], np.int64))[0])


def _told(parts: list[Counter[int]], busy: int, passed: int) -> dict[str, Any]:
    runs = sum(sum(part.values()) for part in parts)
    return {
        "served": runs,
        "seconds": passed / 1e9,
        "runs": runs,
        "busy_ns": busy,
        "late_ns": [0, 0, 0],
        "mean_ns": busy / runs,
        "segments": [[n for pair in sorted(part.items()) for n in pair] for part in parts],
    }
