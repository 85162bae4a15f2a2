"""RAPL: counters of energy in Intel's and AMD's processors, as the kernel's power capping shows them."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ...profiles.meters import CORES, MEMORY, PACKAGE, PLATFORM, RAIL, RAPL, WINDOW_S
from .meter import MOST_WATTS, Meter, MeterError, MeterFacts, Unreadable
from .sysfs import folders, name_in, number_of

KIND = RAPL
_ZONES = "sys/class/powercap/intel-rapl:*"
READABLE = (
    "since Linux 5.10 only root may read it: run as root, or `sudo chmod o+r "
    "/sys/class/powercap/intel-rapl:*/energy_uj` (until the next start)"
)
_SCOPES: Mapping[str, str] = {"package": PACKAGE, "psys": PLATFORM, "dram": MEMORY, "core": CORES}
_MICRO = 1e-6


class Rapl(Meter):
    """Zones of one kind, say both packages of a machine with two, added up."""

    def __init__(
        self, facts: MeterFacts, zones: Sequence[Path], now: Callable[[], float] = time.monotonic
    ) -> None:
        self.facts, self._now = facts, now
        self._counters = [_Counter(zone) for zone in zones]
        self._last = now()

    def read(self) -> float:
        """Joules since it was made."""
        now = self._now()
        since, self._last = now - self._last, now
        return sum(counter.joules(since) for counter in self._counters)


class _Counter:
    """One zone, whose counter starts anew where it is full."""

    def __init__(self, zone: Path) -> None:
        self._file = zone / "energy_uj"
        self._range = number_of(zone / "max_energy_range_uj")
        if self._range <= 0:
            raise MeterError(f"{zone / 'max_energy_range_uj'} is {self._range}")
        self._before, self._joules = self._raw(), 0.0

    def _raw(self) -> int:
        raw = number_of(self._file, READABLE)
        if not 0 <= raw <= self._range:
            raise MeterError(f"{self._file} is {raw}, beyond its range of {self._range}")
        return raw

    def joules(self, since: float) -> float:
        """Since this counter was first read; the last time was so many seconds ago."""
        raw = self._raw()
        used, self._before = ((raw - self._before) % self._range) * _MICRO, raw
        if since * MOST_WATTS > self._range * _MICRO:
            raise MeterError(
                f"{self._file} is full after {self._range * _MICRO:.3g} J: it may have started anew more "
                f"than once within the {since:.3g} s between two readings"
            )
        if used > MOST_WATTS * max(since, 1e-3):
            raise MeterError(f"{self._file} went back, or on by {used:.3g} J within {since:.3g} s")
        self._joules += used
        return self._joules


def found(root: Path) -> tuple[list[Meter], list[Unreadable]]:
    """A meter for each kind of zone; zones of a processor that are reached by another bus are left out, as
    they count the same energy."""
    zones: dict[str, list[Path]] = {}
    for zone in folders(root, _ZONES):
        if re.fullmatch(r"intel-rapl:\d+(:\d+)?", zone.name):
            zones.setdefault(_kind_of(name_in(zone / "name", zone.name)), []).append(zone)
    meters: list[Meter] = []
    unreadable = []
    for name, those in zones.items():
        try:
            meters.append(Rapl(_facts(name, len(those)), those))
        except MeterError as error:
            unreadable.append(Unreadable(kind=KIND, rail=name, reason=error.reason, remedy=error.remedy))
    return meters, unreadable


def _kind_of(name: str) -> str:
    """ "package" of "package-1"."""
    return re.sub(r"-\d+$", "", name)


def _facts(name: str, count: int) -> MeterFacts:
    return MeterFacts(
        kind=KIND,
        rail=name if count == 1 else f"{name} x {count}",
        scope=_SCOPES.get(name, RAIL),
        counter=True,
        every_s=0.005,
        window_s=WINDOW_S[KIND],
        step=61e-6,
    )
