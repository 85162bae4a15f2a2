"""Where a candidate was worked on, where there is a choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...profiles.quantity import Quantity


@dataclass(frozen=True, kw_only=True)
class MeasuredAhead:
    """A network that a worker measured with untrained weights, from `started` (seconds since the epoch) on;
    `stages` has the seconds of each stage that was done for it. Otherwise as `Where`."""

    worker: str
    started: float
    seconds: float
    stages: Mapping[str, float] = field(default_factory=dict)
    device: str = ""
    waited: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Where:
    """The `worker` (empty: the study itself) and the `seconds` that it took, up to the end of the trial; the
    `device` of a pool that measured (empty: there is but one), what the reference took there in the same
    rounds (None: that was answered from the store), and the seconds that were `waited` until the device was
    free.

    `ahead` is what workers measured with untrained weights since the trial that was told before: such
    measurements are of no trial, and are kept with the next one.
    """

    worker: str = ""
    device: str = ""
    reference_ms: Quantity | None = None
    waited: float = 0.0
    seconds: float = 0.0
    ahead: tuple[MeasuredAhead, ...] = ()
