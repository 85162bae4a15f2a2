"""A clock that goes on only when a test says so, in the place of the module `time` of what is tested."""

from __future__ import annotations

import threading


class SteppedClock:
    """`sleep` waits, whatever the machine does meanwhile, until the test has let so many seconds pass."""

    def __init__(self) -> None:
        self._now, self._changed = 0.0, threading.Condition()
        self._wakes: list[float] = []

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        with self._changed:
            wake = self._now + seconds
            self._wakes.append(wake)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._now >= wake)
            self._wakes.remove(wake)

    def go_on(self, seconds: float) -> None:
        """Let time pass as soon as somebody sleeps, and come back when nobody is awake who slept so long."""
        with self._changed:
            self._changed.wait_for(lambda: self._wakes)
            self._now += seconds
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._wakes and min(self._wakes) > self._now)
