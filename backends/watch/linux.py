"""What Linux tells of clocks and temperatures under /sys and /proc; `root` is where these are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .boards import FIXED, Flags, throttled_flags
from .files import first, inside, number, text
from .state import clock, temperature

_CPU = "sys/devices/system/cpu"
_ABOUT_PROCESSORS = re.compile(r"cpu|core|package|soc|tctl|tdie|^tj|x86_pkg|gpu", re.IGNORECASE)
_MOST_SENSORS, _MOST_CORES = 64, 4096
_SLOWING_DEVICES = re.compile(
    r"(?:thermal-)?cpufreq|processor|(?:cpu|gpu).*(?:throttle|alert)", re.IGNORECASE
)
"""Cooling devices that cool by making a processor slower; the others are fans and the like."""


def cores(root: Path) -> tuple[int, ...]:
    """The cores that are switched on."""
    found: list[int] = []
    for first_one, last in re.findall(r"(\d{1,5})(?:-(\d{1,5}))?", text(root / _CPU / "online")):
        found += range(int(first_one), int(last or first_one) + 1)
    if not found:  # some kernels of phones do not tell
        found = [int(path.name[3:]) for path in inside(root / _CPU, "cpu[0-9]*") if path.name[3:].isdecimal()]
    return tuple(found[:_MOST_CORES])


def clocks(root: Path, of: Iterable[int], name: str = "scaling_cur_freq") -> dict[str, float]:
    """Megahertz by core; `name` is the file that tells (kHz)."""
    found = {}
    for core in of:
        told = number(root / _CPU / f"cpu{core}" / "cpufreq" / name)
        if told is not None and (mhz := clock(told / 1e3)) is not None:
            found[str(core)] = mhz
    return found


def most_clocks(root: Path, of: Iterable[int]) -> dict[str, float]:
    """The highest clock that the hardware has."""
    return clocks(root, of, "cpuinfo_max_freq")


def governor(root: Path, of: Iterable[int]) -> str:
    """Of the cores that are asked for; several names where they differ."""
    told = (text(root / _CPU / f"cpu{core}" / "cpufreq" / "scaling_governor") for core in of)
    return ", ".join(dict.fromkeys(name[:40] for name in told if name))


def turbo(root: Path) -> bool | None:
    """Whether clocks above the nominal one are allowed."""
    off = text(root / _CPU / "intel_pstate" / "no_turbo")
    boost = text(root / _CPU / "cpufreq" / "boost")
    return off == "0" if off in ("0", "1") else boost == "1" if boost in ("0", "1") else None


def power_mode(root: Path) -> str:
    """The platform's power profile ("balanced"), or the mode that a Jetson was set to ("pmode 2")."""
    mode = re.fullmatch(r"pmode:(\d{1,8})", text(root / "var/lib/nvpmodel/status"))
    return text(root / "sys/firmware/acpi/platform_profile")[:40] or (f"pmode {int(mode[1])}" if mode else "")


def load(root: Path) -> float | None:
    """Processes that ran or wanted to, the mean over a minute."""
    told = re.match(r"\d{1,7}\.\d{1,4}", text(root / "proc/loadavg"))
    return float(told[0]) if told else None


@dataclass(frozen=True)
class Sensor:
    """A temperature: its name, the file that tells thousandths of a degree."""

    name: str
    path: Path

    def read(self) -> float | None:
        """Degrees Celsius."""
        told = number(self.path)
        return None if told is None else temperature(told / 1e3)


def sensors(root: Path) -> tuple[Sensor, ...]:
    """Those of processors first; each has a name of its own."""
    found: dict[str, Path] = {}
    for name, path in (*_zones(root), *_monitors(root)):
        if FIXED.search(name):
            continue
        named = name if name not in found else f"{name} ({path.parent.name})"
        found.setdefault(named[:60], path)
    ordered = sorted(found, key=lambda name: not _ABOUT_PROCESSORS.search(name))
    return tuple(Sensor(name, found[name]) for name in ordered[:_MOST_SENSORS])


def _zones(root: Path) -> Iterator[tuple[str, Path]]:
    for zone in inside(root / "sys/class/thermal", "thermal_zone*"):
        yield text(zone / "type") or zone.name, zone / "temp"


def _monitors(root: Path) -> Iterator[tuple[str, Path]]:
    for monitor in inside(root / "sys/class/hwmon", "hwmon*"):
        name = text(monitor / "name") or monitor.name
        for path in inside(monitor, "temp*_input"):
            label = text(path.with_name(path.name.replace("_input", "_label")))
            yield f"{name} {label or path.name.removesuffix('_input')}", path


def slowing_devices(root: Path) -> tuple[Path, ...]:
    """Files of those cooling devices that make a processor slower: above 0, they do."""
    devices = inside(root / "sys/class/thermal", "cooling_device*")
    return tuple(one / "cur_state" for one in devices if _SLOWING_DEVICES.match(text(one / "type")))


def throttle_counts(root: Path, of: Iterable[int]) -> Mapping[str, int]:
    """Events of throttling since the start, as x86 processors count them, summed over cores."""
    found: dict[str, int] = {}
    for core in of:
        folder = root / _CPU / f"cpu{core}" / "thermal_throttle"
        for name in ("core_throttle_count", "package_throttle_count"):
            if (told := number(folder / name)) is not None and told >= 0:
                found[name] = found.get(name, 0) + told
    return found


def firmware_flags(root: Path) -> Flags | None:
    """What `vcgencmd get_throttled` tells, as a Raspberry Pi's kernel shows it: that starts no process."""
    places = inside(root / "sys/devices/platform", "soc*/*firmware*/get_throttled")
    told = first(places)
    return throttled_flags(told) if told else None


def gpu_clocks(root: Path) -> dict[str, float]:
    """Megahertz of GPUs that are part of a chip."""
    found = {}
    for device in inside(root / "sys/class/devfreq", "*"):
        if re.search(r"gpu|mali|gv11b|ga10b|gp10b|gm20b", device.name, re.IGNORECASE):
            told = number(device / "cur_freq")
            if told is not None and (mhz := clock(told / 1e6)) is not None:
                found[device.name[:60]] = mhz
    return found
