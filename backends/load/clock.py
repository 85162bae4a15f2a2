"""Time as the load generator sees it: that of this machine, or one of which a simulation decides."""

from __future__ import annotations

import time
from typing import Protocol

_SPUN_NS = 1_000_000
"""The last millisecond of a wait is spun: a sleep ends late by tens of microseconds, seldom by more."""


class Clock(Protocol):
    """Nanoseconds that only go forward."""

    def now(self) -> int:
        """The time."""

    def wait_until(self, then: int) -> int:
        """Come back at that time or as soon after it as can be; the time then."""


class RealClock:
    """The clock of measurements. It sleeps what is long and spins the rest."""

    def now(self) -> int:
        """By the machine."""
        return time.perf_counter_ns()

    def wait_until(self, then: int) -> int:
        """Late by what the machine is."""
        while (left := then - time.perf_counter_ns()) > 0:
            if left > 2 * _SPUN_NS:
                time.sleep((left - _SPUN_NS) / 1e9)
        return time.perf_counter_ns()


class VirtualClock:
    """A time that passes only where somebody says so."""

    def __init__(self) -> None:
        self._now = 0

    def now(self) -> int:
        """What has passed."""
        return self._now

    def wait_until(self, then: int) -> int:
        """At once."""
        self._now = max(self._now, then)
        return self._now

    def passes(self, nanoseconds: int) -> None:
        """What a simulated server takes."""
        self._now += nanoseconds
