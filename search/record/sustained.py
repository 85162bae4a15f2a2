"""What an artifact does when it is kept at work for minutes: its latencies when the device is hot."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...profiles.quantity import Quantity

FULL = "full"
AROUND_S = 8.0
"""Of each beside the time at work: a process that is opened, and what is timed before and after."""
REST_SHARE, MOST_REST_S = 0.1, 60.0
"""Where no temperature is told the device rests before the next one for this share of the time at work, and
no longer than that."""


NOT_THERE = (
    "finalists are not kept at work: the device is not there, and what heat does to it is not estimated"
)
MOST = 0.5
"""Of the budget of time, that is kept for finalists however long they take."""


def seconds_of(seconds: float, count: int) -> float:
    """What so many take in all, each at work for so many seconds, with rests between them."""
    return count * (seconds + AROUND_S + min(MOST_REST_S, REST_SHARE * seconds))


@dataclass(frozen=True, kw_only=True)
class SustainedLoad:
    """`rate` requests a second, or a `share` of what the artifact can do; neither: back to back."""

    rate: float | None = None
    share: float | None = None

    def __str__(self) -> str:
        if self.rate is not None:
            return f"{self.rate:.3g} /s"
        return FULL if self.share is None else f"{100 * self.share:.3g} %"


@dataclass(frozen=True, kw_only=True)
class Minute:
    """One minute of it, or what was left of the last: how many were `served`, the percentiles of their
    response times (`p99_ms` None: too few), and the device at its end, as far as that is told."""

    served: int
    p50_ms: float
    p99_ms: float | None = None
    temperature_c: float | None = None
    clock_mhz: float | None = None
    slowed: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Sustained:
    """`seconds` at a `load` (`rate` requests a second, 0: back to back), of those that were `asked_s`.

    `cold` are the latencies measured beside the other finalists, `hot` the same after the work, in the place
    of which they stand in the metrics: of `hot_minutes` at its end. `slowdown` is by how much a run took
    longer at the end than before the work, in the same process, `tails` by how much percentiles of the hot
    minutes are longer than those of the first; `reference` is the slowdown of the uncompressed teacher, which
    has rested meanwhile. `cooled` says how the device was let cool before, `kept_up` whether
    all that came was served in time.
    """

    asked_s: float
    seconds: float
    load: str
    rate: float
    minutes: tuple[Minute, ...]
    cold: dict[str, Quantity] = field(default_factory=dict)
    hot: dict[str, Quantity] = field(default_factory=dict)
    hot_minutes: int = 1
    slowdown: Quantity | None = None
    tails: dict[str, float] = field(default_factory=dict)
    reference: float | None = None
    cooled: str = ""
    kept_up: bool = True
