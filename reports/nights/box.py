"""The hard end of a night: what is under way is asked to stop, and then made to."""

from __future__ import annotations

import _thread
import os
import threading
from types import TracebackType

from ...search.driver.budget import AT_ONCE, StopFlag

_GRACE_S = (60.0, 60.0)
"""Seconds in which the stage at hand may finish, and then a training its epoch, before what is under way is
interrupted."""
_LEAVE_S = 120.0
"""After that, the process is: code that heeds no interrupt would keep the next night from beginning."""


class TimeBox:
    """Asks for a stop after so many seconds by the monotonic clock, which no one sets, and more
    firmly as time goes on. `over`: it has."""

    def __init__(self, seconds: float, stop: StopFlag) -> None:
        self.over = False
        self._stop, self._done = stop, threading.Event()
        self._seconds = seconds
        self._thread = threading.Thread(target=self._watch, name="time-box", daemon=True)

    def __enter__(self) -> TimeBox:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()

    def _watch(self) -> None:
        for turn, seconds in enumerate((self._seconds, *_GRACE_S), 1):
            if self._done.wait(seconds):
                return
            self.over = True
            self._stop.request()
            if turn == AT_ONCE:
                _thread.interrupt_main()
        if not self._done.wait(_LEAVE_S):
            os._exit(1)  # the kernel frees its locks, and the next night says that this one was killed
