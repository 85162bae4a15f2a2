"""What `vcgencmd`, `tegrastats`, `nvpmodel` and `nvidia-smi` print, read by pure functions.

Formats: Raspberry Pi's and NVIDIA's documentation, and lines that public code was written against.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from typing import Any

from .state import CAPPED, SOFT_LIMIT, THROTTLED, UNDER_VOLTAGE, Card, clock, temperature

_BITS = {0: UNDER_VOLTAGE, 1: CAPPED, 2: THROTTLED, 3: SOFT_LIMIT}
_SINCE_BOOT = 16

Flags = tuple[tuple[str, ...], tuple[str, ...]]


def throttled_flags(value: str) -> Flags | None:
    """What the firmware of a Raspberry Pi tells: now, and since it was started. `value` is the output of
    `vcgencmd get_throttled` or what the kernel's file of that name holds: hexadecimal, with or without 0x."""
    found = re.fullmatch(r"(?:throttled=)?(?:0x)?([0-9a-fA-F]{1,8})", value.strip())
    if found is None:
        return None
    bits = int(found[1], 16)
    now, ever = (
        tuple(name for bit, name in _BITS.items() if bits >> (bit + shift) & 1) for shift in (0, _SINCE_BOOT)
    )
    return now, ever


def arm_clock(printed: str) -> float | None:
    """Megahertz of `vcgencmd measure_clock arm`: "frequency(48)=600169920"."""
    found = re.fullmatch(r"frequency\(\d+\)=(\d{1,12})", printed.strip())
    return clock(int(found[1]) / 1e6) if found else None


def arm_temperature(printed: str) -> float | None:
    """Degrees of `vcgencmd measure_temp`: "temp=42.8'C"."""
    found = re.fullmatch(r"temp=(-?\d{1,4}(?:[.,]\d{1,3})?)\s*['°]?\s*C", printed.strip())
    return temperature(float(found[1].replace(",", "."))) if found else None


_CORES = re.compile(r"\bcpu \[([^\]\n]*)\](?:@(\d{1,5}))?", re.IGNORECASE)
_GPU = re.compile(r"\bGR3D(?:_FREQ)?\s+(?:\d{1,3}%)?@\[?(\d{1,5})")
_WARM = re.compile(r"\b([A-Za-z][\w-]*)@(-?\d{1,4}(?:\.\d{1,3})?)C\b")
FIXED = re.compile(r"pmic", re.IGNORECASE)
"""A sensor of Jetson boards that tells the same number whatever the temperature is."""


def tegrastats(line: str) -> dict[str, Any]:
    """Fields of a `State` that a line of `tegrastats` tells, of any JetPack: clocks, temperatures, the GPU's
    clock. Cores that are off have no clock."""
    cores = _CORES.search(line)
    told = re.split(r"\s*,\s*", cores[1]) if cores else []
    clocks = {}
    for core, one in enumerate(told):
        own = re.fullmatch(r"\d{1,3}%@(\d{1,5})", one.strip())
        mhz = own[1] if own else cores[2] if cores and one.strip().endswith("%") else None
        if mhz is not None and (known := clock(float(mhz))) is not None:
            clocks[str(core)] = known
    warm = {
        name: found for name, value in _WARM.findall(line) if (found := temperature(float(value))) is not None
    }
    gpu = _GPU.search(line)
    gpus = (Card(name="GR3D", clock_mhz=mhz),) if gpu and (mhz := clock(float(gpu[1]))) else ()
    return {
        "clock_mhz": clocks,
        "temperature_c": {name: value for name, value in warm.items() if not FIXED.search(name)},
        "gpus": gpus,
    }


def power_mode(printed: str) -> str:
    """The mode's name that `nvpmodel -q` prints: "NV Power Mode: MAXN"."""
    found = re.search(r"^\s*NV Power Mode:[ \t]*(\S[^\n]{0,40})$", printed, re.MULTILINE)
    return found[1].strip() if found else ""


SMI_FIELDS = ("name", "clocks.sm", "temperature.gpu")
_REASONS = {
    "hw_slowdown": "GPU: hardware slowdown",
    "hw_thermal_slowdown": "GPU: hardware slowdown for heat",
    "hw_power_brake_slowdown": "GPU: power brake",
    "sw_thermal_slowdown": "GPU: clock lowered for heat",
}
"""What lowers the clock below what was asked for. A power cap (`sw_power_cap`) is how a loaded card runs."""
SMI_QUERIES = tuple(
    (*SMI_FIELDS, *(f"{prefix}.{reason}" for reason in _REASONS))
    for prefix in ("clocks_event_reasons", "clocks_throttle_reasons")
)
"""The reasons' names changed with driver 535: an `nvidia-smi` knows one or both of them."""


def nvidia_smi(printed: str) -> tuple[Card, ...]:
    """The cards that `nvidia-smi --query-gpu=... --format=csv,noheader,nounits` tells of, asked for one of
    `SMI_QUERIES`; none where it tells an error."""
    rows = list(csv.reader(printed.splitlines(), skipinitialspace=True))
    return tuple(_card(row) for row in rows if len(row) == len(SMI_QUERIES[0]))


def _card(row: list[str]) -> Card:
    name, mhz, degrees, *reasons = (cell.strip() for cell in row)
    told = dict(zip(_REASONS.values(), reasons, strict=True))
    return Card(
        name=name[:60],
        clock_mhz=_read(mhz, clock),
        temperature_c=_read(degrees, temperature),
        slowed=_active(told),
    )


def _active(told: Mapping[str, str]) -> tuple[str, ...] | None:
    known = {name: said for name, said in told.items() if said in ("Active", "Not Active")}
    return tuple(name for name, said in known.items() if said == "Active") if known else None


def _read(cell: str, sound: Any) -> float | None:
    """A number of a cell, "[N/A]" and the like are none."""
    found = re.fullmatch(r"-?\d{1,6}(?:\.\d{1,3})?", cell)
    return sound(float(found[0])) if found else None
