"""A session under load, asked through its runner: `load`, see `backends.load.operation`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..load.histogram import MOST_BIN, spread_out
from ..load.operation import MOST_ARRIVALS
from ..load.under_load import UnderLoad
from .client import RunnerClient
from .reading import Reply, list_of, number, whole

_MARGIN_S = 30.0
"""One run that began within the limit may end, and the answer be told."""


def under_load(
    client: RunnerClient,
    rate: float,
    arrivals: int,
    limit_s: float,
    *,
    seed: int = 0,
    skip: int = 0,
    run_s: float = 0.0,
    meanwhile: Callable[[], None] = lambda: None,
) -> UnderLoad:
    """How the artifact that is open and prepared in a runner answers to `arrivals` requests, `rate` a second
    on average at Poisson times (0: back to back, all at once); for minutes, where they are so many. No run
    begins after `limit_s`; the first `skip` requests count for nothing. `run_s` is what one run takes, where
    that is long; `meanwhile` is called every second, and what it raises ends the runner.

    Raises:
        StageError: the runner failed, or answered nonsense.
    """
    body = {"rate": rate, "arrivals": arrivals, "seed": seed, "skip": skip, "limit_s": limit_s}
    seconds = limit_s + run_s + _MARGIN_S
    reply = client.ask("load", seconds, body, meanwhile=meanwhile)
    return _read(reply, rate, arrivals, skip)


def back_to_back(
    client: RunnerClient, seconds: float, *, run_s: float = 0.0, meanwhile: Callable[[], None] = lambda: None
) -> UnderLoad:
    """How long each run takes of the artifact that is open and prepared in a runner, for so many seconds
    without a pause; `run_s` and `meanwhile` as `under_load`.

    Raises:
        StageError: the runner failed, or answered nonsense.
    """
    reply = client.ask("back to back", seconds + run_s + _MARGIN_S, {"seconds": seconds}, meanwhile=meanwhile)
    return _read(reply, 0.0, reply.read("served", whole), 0)


def _read(reply: Reply, rate: float, arrivals: int, skip: int) -> UnderLoad:
    late = reply.read("late_ns", list_of(number))
    segments, counted = reply.read("segments", list_of(_pairs)), reply.read("served", whole) - skip
    timed = sum(sum(pairs[1::2]) for pairs in segments)
    if timed != max(0, counted) or counted + skip > arrivals or len(late) != 3:
        raise reply.wrong(f"{counted + skip} of {arrivals} requests were served, and {timed} timed")
    found = UnderLoad(
        rate=rate,
        arrivals=arrivals,
        served=reply.read("served", whole),
        seconds=reply.read("seconds", number),
        runs=reply.read("runs", whole),
        busy_s=reply.read("busy_ns", number) / 1e9,
        late_s=(late[0] / 1e9, late[1] / 1e9, late[2] / 1e9),
        mean_ms=reply.read("mean_ns", number) / 1e6,
        segments=tuple(spread_out(pairs) / 1e6 for pairs in segments),
    )
    if found.served and not found.seconds > 0:
        raise reply.wrong(f"{found.served} requests were served in {found.seconds:g} s")
    return found


def _pairs(value: Any, name: str) -> tuple[int, ...]:
    """Bins and counts in turn."""
    found = list_of(whole)(value, name)
    counts = found[1::2]
    if len(found) % 2 or max(found[0::2], default=0) > MOST_BIN or sum(counts) > MOST_ARRIVALS:
        raise ValueError(f"{name} has to be bins and counts in turn")
    return found
