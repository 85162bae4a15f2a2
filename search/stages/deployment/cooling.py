"""A device between two that are kept at work on it: it cools, so that their order does not decide."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ....profiles.words import duration
from ...record.sustained import MOST_REST_S, REST_SHARE

WARMER_C, COOL_SHARE, MOST_COOL_S = 2.0, 0.5, 300.0
"""It has cooled where it is at most so much warmer than at first; it is waited for no longer than this share
of the time at work, and these seconds."""


@dataclass(kw_only=True)
class Cooling:
    """`seconds` is how long each is kept at work; `first_c` how warm the device was before the first."""

    seconds: float
    first_c: float | None = None
    begun: bool = False
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def wait(self, temperature: Callable[[], float | None], checkpoint: Callable[[], None]) -> str:
        """Wait until it is about as cool as at first, in words; before the first one, for nothing."""
        now = temperature()
        if not self.begun:
            self.begun, self.first_c = True, now
            return ""
        if now is None or self.first_c is None:
            rest = min(MOST_REST_S, REST_SHARE * self.seconds)
            self._until(lambda: False, rest, checkpoint)
            return f"rested for {duration(rest)} before it: no temperature is told"
        start, cool = self.clock(), self.first_c + WARMER_C
        most = min(MOST_COOL_S, COOL_SHARE * self.seconds)
        self._until(lambda: (temperature() or cool) <= cool, most, checkpoint)
        left, took = temperature() or now, duration(self.clock() - start)
        if left <= cool:
            return f"cooled to {left:.0f} °C in {took} before it"
        return f"still {left:.0f} °C after a rest of {took} before it; {self.first_c:.0f} °C at first"

    def _until(self, cool: Callable[[], bool], seconds: float, checkpoint: Callable[[], None]) -> None:
        end = self.clock() + seconds
        while not cool() and self.clock() < end:
            checkpoint()
            self.sleep(min(1.0, max(0.0, end - self.clock())))
