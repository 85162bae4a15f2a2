"""Which meters a device has, and by which of them energy would be measured."""

from __future__ import annotations

from dataclasses import dataclass

from ...profiles.devices.schema import Profile
from ...profiles.words import listed
from ..energy.discover import MetersFound
from ..energy.meter import MeterError
from ..energy.named import taken_by

_MOST = 8


@dataclass(frozen=True, kw_only=True)
class SeenMeters:
    """Titles of all that can be read, that of the one that is taken ("": none is), why not, and what to do.
    `told` is false where the device's runner does not know of meters."""

    there: tuple[str, ...] = ()
    taken: str = ""
    why: str = ""
    remedy: str = ""
    told: bool = True

    @property
    def text(self) -> str:
        """In a line."""
        if not self.told:
            return "unknown"
        rest = [title for title in self.there if title != self.taken]
        also = f" (also there: {listed(rest, _MOST)})" if rest and self.taken else ""
        return f"{self.taken}{also}" if self.taken else listed(self.there, _MOST) or "none"


def seen(profile: Profile, found: MetersFound | None) -> SeenMeters:
    """Of what a device has."""
    if found is None:
        return SeenMeters(told=False, why="the runner there does not know of meters")
    there = tuple(one.title for one in found.meters)
    try:
        return SeenMeters(there=there, taken=taken_by(profile, found).facts.title)
    except MeterError as error:
        return SeenMeters(there=there, why=error.reason, remedy=error.remedy)
