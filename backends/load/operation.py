"""What a runner does when it is asked to be put under load: `load`, on what is open in it."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..contract.backend import Feed, Session
from .arrivals import at_once, poisson
from .clock import Clock, RealClock, VirtualClock
from .generator import Serve, Served, offered
from .histogram import counted

MOST_ARRIVALS = 2_000_000
MOST_SECONDS = 900.0
SEGMENTS = 24
"""Parts of a run, in order, whose response times are told apart: how much those of one part resemble each
other says to how many independent ones they amount."""


def load(session: Session, feed: Feed, batch: int, body: Mapping[str, Any]) -> dict[str, Any]:
    """Put the open session under load, and tell the response times.

    The request: `rate` (requests a second, on average; 0: all come at once, so that the session runs back to
    back), `arrivals` (how many come), `seed` of their times, `skip` (how many of the first count for
    nothing, while the queue settles), `limit_s` (no run begins later).

    The answer: `served` of the requests, `seconds` from start to end, `runs` of the session that took
    `busy_ns`, `late_ns` (the generator's own lateness where the session was idle: median, p99, most),
    `mean_ns` of the response times that count, and these as `segments` in order, each `histogram.counted`.
    Requests that wait when no run may begin any more are in none of them: `served` is less than `arrivals`.

    A session with a simulated time is served in virtual time: the answer comes at once.
    """
    rate, count = float(body["rate"]), int(body["arrivals"])
    skip, limit_s = int(body.get("skip", 0)), float(body["limit_s"])
    _check(feed, rate, count, limit_s)
    times = poisson(rate, count, int(body.get("seed", 0))) if rate else at_once(count)
    serve, clock = _server(session, feed)
    collecting = gc.isenabled()
    gc.disable()
    try:
        found = offered(times, serve, clock, batch, limit_s)
    finally:
        if collecting:
            gc.enable()
    return told(found, skip)


def _check(feed: Feed, rate: float, count: int, limit_s: float) -> None:
    if not feed:
        raise ValueError("load comes after prepare")
    if not (0 <= rate < 1e9 and 0 < count <= MOST_ARRIVALS and 0 < limit_s <= MOST_SECONDS):
        raise ValueError(f"a load of {count} requests at {rate:g} /s within {limit_s:g} s is none")


def _server(session: Session, feed: Feed) -> tuple[Serve, Clock]:
    run = session._run
    if session.simulated_ns is None:
        return lambda _: run(feed), RealClock()
    clock, takes = VirtualClock(), session.simulated_ns
    run(feed)
    return lambda _: clock.passes(takes), clock


def told(served: Served, skip: int = 0) -> dict[str, Any]:
    """A run of the generator as the answer of a device."""
    responses = served.responses[skip:]
    late = np.sort(served.late)
    return {
        "served": served.count,
        "seconds": served.seconds,
        "runs": len(served.ended),
        "busy_ns": served.busy,
        "late_ns": [int(late[int(q * (len(late) - 1))]) for q in (0.5, 0.99, 1.0)]
        if len(late)
        else [0, 0, 0],
        "mean_ns": float(responses.mean()) if len(responses) else 0.0,
        "segments": [counted(part) for part in np.array_split(responses, SEGMENTS) if len(part)],
    }
