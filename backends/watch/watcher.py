"""Looks at a device: thoroughly before and after a measurement, at a glance between its rounds.

A glance reads what is quick alone: it must not disturb what is measured. What starts a process is part of it
every few seconds at most, and only where no file tells the same.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from . import boards, linux
from .cgroup import quota
from .files import number
from .linux import Sensor
from .state import COOLING, Card, State
from .tools import Tools

T = TypeVar("T")

EVERY_S = 3.0
"""Seconds between two starts of a process at a glance."""
LOOK_LIMIT_S = 10.0
_QUICK_S, _MOST_QUICK = 0.0003, 8
"""A glance reads so many sensors, each of which took no longer than that at first."""


class Watcher:
    """Looks at the machine whose files are under `root`."""

    def __init__(
        self,
        root: Path = Path("/"),
        tools: Tools | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root, self._tools, self._now = root, tools or Tools(), now
        self._quick: tuple[Sensor, ...] = ()
        self._slowing: tuple[Path, ...] = ()
        self._query: tuple[str, ...] | None = boards.SMI_QUERIES[0]
        self._told_by_files = False
        self._looked_at, self._asked_at, self._hangs = False, 0.0, False
        self._gpus: tuple[Card, ...] = ()

    def look(self, of: Iterable[int] | None = None) -> State:
        """All that can be read, clocks of those cores (None: all); what is quick alone if a sensor hangs."""
        there = linux.cores(self._root)
        wanted = there if of is None else tuple(of)
        plain = self._glance(wanted)
        whole = None if self._hangs else within(LOOK_LIMIT_S, lambda: self._whole(plain, wanted))
        self._looked_at, self._asked_at, self._hangs = True, self._now(), whole is None
        return whole or plain

    def glance(self, of: Iterable[int] | None = None) -> State:
        """What is quick to read, of those cores."""
        if not self._looked_at:
            return self.look(of)
        found = self._glance(linux.cores(self._root) if of is None else tuple(of))
        if self._now() - self._asked_at < EVERY_S:
            return found
        self._asked_at = self._now()
        return self._asked(found)

    def _glance(self, wanted: tuple[int, ...]) -> State:
        root = self._root
        clocks = linux.clocks(root, wanted)
        flags = linux.firmware_flags(root) if self._told_by_files or not self._looked_at else None
        self._told_by_files = self._told_by_files or flags is not None
        warm = ((sensor.name, sensor.read()) for sensor in self._quick)
        return State(
            seconds=self._now(),
            clock_mhz=clocks,
            governor=linux.governor(root, wanted[:8]),
            temperature_c={name: found for name, found in warm if found is not None},
            slowed=_together(flags[0] if flags else None, self._cooled()),
            was_slowed=flags[1] if flags else None,
            counts=linux.throttle_counts(root, wanted[:8]),
            gpus=tuple(Card(name=name, clock_mhz=mhz) for name, mhz in linux.gpu_clocks(root).items()),
            quota=quota(root),
            load=linux.load(root),
        )

    def _cooled(self) -> tuple[str, ...] | None:
        states = [told for path in self._slowing if (told := number(path)) is not None]
        return None if not states else (COOLING,) if max(states) > 0 else ()

    def _whole(self, found: State, wanted: tuple[int, ...]) -> State:
        """With what is slow, or does not change."""
        root = self._root
        self._slowing = linux.slowing_devices(root)
        temperatures, quick = {}, list[Sensor]()
        for sensor in linux.sensors(root):
            start = time.perf_counter()
            told = sensor.read()
            if told is None:
                continue
            temperatures[sensor.name] = told
            if time.perf_counter() - start < _QUICK_S and len(quick) < _MOST_QUICK:
                quick.append(sensor)
        self._quick = tuple(quick)
        found = replace(
            found,
            slowed=_together(found.slowed, self._cooled()),
            temperature_c=temperatures,
            most_mhz=linux.most_clocks(root, wanted),
            turbo=linux.turbo(root),
            power_mode=boards.power_mode(self._tools.printed("nvpmodel", "-q")) or linux.power_mode(root),
        )
        return self._completed(self._asked(found))

    def _asked(self, found: State) -> State:
        """With what the tools of boards and cards tell."""
        if not self._told_by_files:
            flags = boards.throttled_flags(self._tools.printed("vcgencmd", "get_throttled"))
            if flags is not None:
                slowed = _together(flags[0], found.slowed)
                found = replace(found, slowed=slowed, was_slowed=flags[1])
        arm = boards.arm_clock(self._tools.printed("vcgencmd", "measure_clock", "arm"))
        if arm is not None:  # what runs, where the kernel knows what it has asked for
            found = replace(found, clock_mhz={**found.clock_mhz, "arm": arm})
        return replace(found, gpus=(*found.gpus, *self._cards()))

    def _cards(self) -> tuple[Card, ...]:
        """By `nvidia-smi`, which needs no package there; with the names of fields that it knows."""
        known = [self._query] if self._query in boards.SMI_QUERIES and self._looked_at else boards.SMI_QUERIES
        for query in filter(None, known):
            asked = (f"--query-gpu={','.join(query)}", "--format=csv,noheader,nounits")
            if found := boards.nvidia_smi(self._tools.printed("nvidia-smi", *asked)):
                self._query = query
                return found
        return ()

    def _completed(self, found: State) -> State:
        """What no file has told, as `tegrastats` and the firmware tell it."""
        if not found.temperature_c and (
            warm := boards.arm_temperature(self._tools.printed("vcgencmd", "measure_temp"))
        ):
            found = replace(found, temperature_c={"arm": warm})
        if found.clock_mhz and found.temperature_c and found.gpus:
            return found
        line = self._tools.printed("tegrastats", "--interval", "100", first_line=True)
        told = boards.tegrastats(line)
        return replace(found, **{name: value for name, value in told.items() if not getattr(found, name)})


def _together(*told: tuple[str, ...] | None) -> tuple[str, ...] | None:
    known = [names for names in told if names is not None]
    return tuple(dict.fromkeys(name for names in known for name in names)) if known else None


def within(seconds: float, work: Callable[[], T]) -> T | None:
    """What `work` gives, None where it does not end in time: a file of a broken sensor may hang."""
    found: list[T] = []
    thread = threading.Thread(target=lambda: found.append(work()), daemon=True, name="look-at-the-device")
    try:
        thread.start()
    except RuntimeError:  # no thread is left: what hangs then is cut by whoever waits
        return work()
    thread.join(seconds)
    return found[0] if found else None


@cache
def of_this_machine() -> Watcher:
    """The one of this process."""
    return Watcher()


def told(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a runner answers to "state": of the named cores, or of all; at a glance, or thoroughly."""
    asked, watcher = body.get("cores"), of_this_machine()
    cores = None if asked is None else tuple(map(int, asked))
    found = watcher.look(cores) if body.get("thorough", True) else watcher.glance(cores)
    return {"state": found.to_json()}
