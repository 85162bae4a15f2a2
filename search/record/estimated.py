"""That a study is for a device that was not there: what its estimates rest on, and what was brought later."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...profiles.quantity import Quantity
from .candidate import Candidate

COVERED = 0.9
"""Of all cases, in which the interval of an estimate holds the true value."""
RESTS_ON = "estimate"
"""In what a study searches: what its estimates rest on. Where that alone has changed it is begun anew, since
all that it holds is scored from the store or estimated."""


@dataclass(frozen=True, kw_only=True)
class Brought:
    """What somebody has measured of one artifact on the device itself, outside of any study.

    `artifact` is its key in the store; `metrics` are plain numbers by the names of `record.metrics`. `source`
    is the file that it was read from, `trial` the number by which it stands there (None: by its key alone),
    `estimate` what its latency was estimated at before that was known (None: not known).
    """

    candidate: Candidate
    artifact: str
    metrics: dict[str, float]
    source: str = ""
    trial: int | None = None
    estimate: Quantity | None = None


@dataclass(frozen=True, kw_only=True)
class Estimated:
    """Instead of a device, its profile was asked.

    `device` is the profile's title, `basis` says in sentences what the estimates rest on. `brought` are
    measurements of the device itself, which have corrected them. `before` are latencies by the digests of
    candidates, as they were estimated before the latest of those were brought. `to_measure` are the numbers
    of the trials whose measurements would tell most.
    """

    device: str
    basis: tuple[str, ...] = ()
    brought: tuple[Brought, ...] = ()
    before: dict[str, Quantity] = field(default_factory=dict)
    to_measure: tuple[int, ...] = ()
