"""A meter read in a thread of its own while something else runs, and what it told between two moments."""

from __future__ import annotations

import threading
import time
from types import TracebackType

import numpy as np

from .meter import Meter, MeterError

LATE_S = 5.0
"""So much longer than usual a reading may take before the meter counts as one that hangs."""
_MOST_READINGS = 2_000_000


class MeterReader:
    """Reads a meter from `with` to the end of its block, which closes it."""

    def __init__(self, meter: Meter) -> None:
        self._meter, self.facts = meter, meter.facts
        self._times: list[float] = []
        self._values: list[float] = []
        self._error: MeterError | None = None
        self._news, self._over = threading.Condition(), False
        self._thread = threading.Thread(target=self._read, daemon=True, name="read-the-meter")

    def __enter__(self) -> MeterReader:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._thread.join(1.0 + self.facts.every_s)  # one that hangs is left behind
        self._meter.close()

    def _read(self) -> None:
        due = time.perf_counter()
        while not self._over and len(self._times) < _MOST_READINGS:
            began = time.perf_counter()
            try:
                value = self._meter.read()
            except MeterError as error:
                self._tell(error)
                return
            except Exception as error:  # whatever it is, it is the meter's
                self._tell(MeterError(f"{self.facts.title}: {error}"))
                return
            with self._news:  # what was read belongs to the middle of the time that it took
                self._times.append((began + time.perf_counter()) / 2)
                self._values.append(value)
                self._news.notify_all()
            due = max(due + self.facts.every_s, time.perf_counter())
            time.sleep(max(0.0, due - time.perf_counter()))
        self._tell(MeterError("it was read too often") if not self._over else None)

    def _tell(self, error: MeterError | None) -> None:
        with self._news:
            self._error = self._error or error
            self._news.notify_all()

    def wait_beyond(self, moment: float) -> None:
        """Until a reading of a later moment is there.

        Raises:
            MeterError: it cannot be read, or hangs.
        """
        until = time.perf_counter() + LATE_S + 2 * self.facts.every_s
        with self._news:
            while not self._times or self._times[-1] <= moment:
                if self._error is not None:
                    raise self._error
                left = until - time.perf_counter()
                if left <= 0:
                    raise MeterError(f"{self.facts.title} gave no reading for {LATE_S:g} s")
                self._news.wait(left)

    def joules(self, start: float, end: float) -> float:
        """What was used between two moments, both of them between readings: a counter is read off between
        its readings, watts are added up by trapezoids."""
        with self._news:
            times, values = np.asarray(self._times), np.asarray(self._values)
        first, last = np.interp([start, end], times, values)
        if self.facts.counter:
            return float(last - first)
        inside = (times > start) & (times < end)
        moments = np.concatenate([[start], times[inside], [end]])
        watts = np.concatenate([[first], values[inside], [last]])
        return float(np.sum((watts[1:] + watts[:-1]) * np.diff(moments)) / 2)

    def readings(self, start: float, end: float) -> list[float]:
        """All values between two moments."""
        with self._news:
            told = zip(self._times, self._values, strict=True)
            return [value for moment, value in told if start <= moment <= end]
