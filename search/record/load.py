"""What a finalist did under load: runs at several loads, and the largest at which the limits held."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf

from ...profiles.quantity import Quantity
from ...profiles.watched import Watched

TELLING = 0.75
"""Of what was predicted, and of what surely is too much."""


class Held(str, Enum):
    """Whether the limits on latency held at a load, by the interval of the percentile that they speak of."""

    YES = "yes"
    NO = "no"
    UNSURE = "unsure"


class NoClaim(str, Enum):
    """Why no load is claimed."""

    TOO_FEW = "too few independent requests"
    NEVER = "no load holds the limits"
    GENERATOR = "the generator was late itself"


@dataclass(frozen=True, kw_only=True)
class LoadPoint:
    """Runs at one load: requests that came in a second, and those that were served. Percentiles of the
    response time, the queue included, are in milliseconds (None: too few independent requests). `limited_ms`
    is the percentile that the first limit speaks of (the p99 without limits), with its interval by the
    `independent` requests that there were for it; `late_ms` is the p99 of the generator's own lateness."""

    offered_per_s: float
    achieved_per_s: float
    p50_ms: float
    p90_ms: float | None = None
    p99_ms: float | None = None
    limited_ms: Quantity | None = None
    requests: int
    independent: int
    held: Held
    late_ms: float = 0.0


@dataclass(frozen=True, kw_only=True)
class LoadCurve:
    """`limits` are the texts of the limits that response times had to keep to (none: the rate back to back
    counts), of which the first says that a `share` of them is at most `most_ms`. `points` are the loads that
    were tried, ascending. `claimed` is the largest load at which the limits surely held (its upper end: the
    most that may be, by other runs and what was predicted), `no_claim` says why there is none, and `needed_s`
    how many seconds one would take. `predicted` is what the rounds of the latency had told before,
    `expected_per_s` what it came to by the runs (None: they did not tell), `capacity_per_s` what was served
    back to back. `late`: in some runs the generator itself was late, so that they tell nothing. `allowed_s`
    could be spent and `seconds` were; `watched` is how the device was."""

    limits: tuple[str, ...] = ()
    share: float = 0.99
    most_ms: float | None = None
    points: tuple[LoadPoint, ...] = ()
    predicted: Quantity | None = None
    claimed: Quantity | None = None
    no_claim: NoClaim | None = None
    needed_s: float | None = None
    expected_per_s: float | None = None
    capacity_per_s: float | None = None
    late: bool = False
    allowed_s: float = 0.0
    seconds: float = 0.0
    watched: Watched | None = None

    @property
    def tells(self) -> bool:
        """Whether what is claimed is the throughput: less than that shows how far the time went, and not how
        much the artifact serves."""
        predicted = self.predicted.value if self.predicted is not None else inf
        most = min(predicted, self.refuted_per_s, inf if self.expected_per_s is None else self.expected_per_s)
        return self.claimed is not None and self.claimed.value >= TELLING * most

    @property
    def refuted_per_s(self) -> float:
        """The least load at which the limits surely did not hold; infinite where there is none."""
        return min((p.offered_per_s for p in self.points if p.held is Held.NO), default=inf)
