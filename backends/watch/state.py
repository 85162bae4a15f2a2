"""What is known of a device at a moment: clocks, temperatures, what slows it down. Plain values only.

What cannot be read is absent (None, or no entry), never a guess: `slowed` is None where no source tells of
slowing down, and empty where one tells that nothing does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

LEAST_C, MOST_C = -60.0, 200.0
"""Beyond these a sensor tells that it is switched off or broken, not how warm it is."""
MOST_MHZ = 20_000.0

UNDER_VOLTAGE, CAPPED = "under-voltage", "frequency capped"
THROTTLED, SOFT_LIMIT = "throttled", "soft temperature limit"
COOLING = "the kernel limits the clock for heat"


@dataclass(frozen=True, kw_only=True)
class Quota:
    """How many cores' time the control groups of a process leave it; of so many `periods` until now
    so many were cut short, for so many seconds in all."""

    cores: float
    periods: int = 0
    throttled: int = 0
    throttled_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Card:
    """One GPU; `slowed` as in `State`."""

    name: str = ""
    clock_mhz: float | None = None
    temperature_c: float | None = None
    slowed: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class State:
    """A device at a moment (`seconds` of a clock of its own that only goes forward).

    Clocks have the number of a core as their name, or that of the clock where the firmware names one
    ("arm"); `most_mhz` is how high they can go. `slowed` is what slows the device down now, `was_slowed` what
    did since it was started. `counts` only ever grow: events of throttling by what counts them.
    """

    seconds: float
    clock_mhz: Mapping[str, float] = field(default_factory=dict)
    most_mhz: Mapping[str, float] = field(default_factory=dict)
    governor: str = ""
    turbo: bool | None = None
    temperature_c: Mapping[str, float] = field(default_factory=dict)
    slowed: tuple[str, ...] | None = None
    was_slowed: tuple[str, ...] | None = None
    counts: Mapping[str, int] = field(default_factory=dict)
    power_mode: str = ""
    gpus: tuple[Card, ...] = ()
    quota: Quota | None = None
    load: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, without what is absent."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "", {}, ())} | {
            name: list(value)
            for name in ("slowed", "was_slowed")
            if (value := getattr(self, name)) is not None
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> State:
        """The value that `to_json` wrote; fields of later versions are left out."""
        known = {name: value for name, value in found.items() if name in cls.__dataclass_fields__}
        for name in ("slowed", "was_slowed"):
            if known.get(name) is not None:
                known[name] = tuple(known[name])
        if known.get("quota") is not None:
            known["quota"] = Quota(**known["quota"])
        known["gpus"] = tuple(map(_gpu, known.get("gpus", ())))
        return cls(**known)

    @property
    def hottest_c(self) -> float | None:
        """Of all sensors."""
        warm = [gpu.temperature_c for gpu in self.gpus if gpu.temperature_c is not None]
        return max((*self.temperature_c.values(), *warm), default=None)

    @property
    def slowing(self) -> tuple[str, ...] | None:
        """What slows the device or one of its GPUs down now; None where nothing tells of it."""
        told = [self.slowed, *(gpu.slowed for gpu in self.gpus)]
        known = [names for names in told if names is not None]
        return tuple(dict.fromkeys(name for names in known for name in names)) if known else None


def _gpu(found: Mapping[str, Any]) -> Card:
    slowed = found.get("slowed")
    return Card(**{**found, "slowed": None if slowed is None else tuple(slowed)})


def temperature(value: float) -> float | None:
    """Degrees Celsius, None where no place on a board is so cold or so hot."""
    return round(value, 1) if LEAST_C < value < MOST_C else None


def clock(mhz: float) -> float | None:
    """Megahertz, None where no clock runs so."""
    return round(mhz, 1) if 0 < mhz < MOST_MHZ else None
