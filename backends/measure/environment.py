"""What a machine looks like to a measurement: processor, load, governor, versions. numpy and stdlib only."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

from ...profiles.devices.instructions import architecture_of, canonical, int8_saturates
from ...profiles.packages import versions


def environment(runtimes: Iterable[str] = ()) -> dict[str, object]:
    """Description of this machine as plain JSON values; what cannot be read is left out or empty.

    `runtimes` are the distributions whose versions change what a measurement means (`registry.packages`).
    """
    return {
        "system": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "bits": 64 if sys.maxsize > 2**32 else 32,  # of this Python: a 64-bit kernel runs both
        "processor": processor_name(),
        "instructions": list(instruction_sets()),
        "cores": os.cpu_count() or 1,
        "affinity": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [],
        "governor": _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "turbo_off": _text("/sys/devices/system/cpu/intel_pstate/no_turbo"),
        "load_average": list(os.getloadavg()) if hasattr(os, "getloadavg") else [],
        "memory_bytes": memory_bytes(),
        "python": sys.version.split()[0],
        "packages": versions(("paretune", "numpy", *runtimes)),
    }


def processor_name() -> str:
    """Name of the processor as the system gives it, or the machine type."""
    for key in ("model name", "Model", "Hardware", "cpu model"):
        name = cpuinfo_field(key)
        if name:
            return name
    return _text("/proc/device-tree/model").strip("\0") or platform.processor() or platform.machine()


def instruction_sets() -> tuple[str, ...]:
    """The instruction sets that matter for inference and are visible to this process, by their canonical
    names."""
    return canonical((cpuinfo_field("flags") or cpuinfo_field("Features")).split())


def saturates_here() -> bool:
    """Whether int8 kernels add pairs of products in 16 bits on this machine."""
    return int8_saturates(architecture_of(platform.machine()), instruction_sets())


def cpuinfo_field(key: str) -> str:
    """First value of a key in /proc/cpuinfo; empty where there is none."""
    for line in _text("/proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def memory_bytes() -> int:
    """Physical memory in bytes; 0 where it cannot be read."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0


def cpu_ticks() -> tuple[int, ...]:
    """First line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal, ...; empty without."""
    first = _text("/proc/stat").partition("\n")[0].split()
    return tuple(int(value) for value in first[1:]) if first[:1] == ["cpu"] else ()


def steal_share(before: tuple[int, ...], after: tuple[int, ...]) -> float | None:
    """Share of processor time that the hypervisor gave to others between two `cpu_ticks`; None if unknown."""
    if min(len(before), len(after)) < 8:
        return None
    # guest time (fields 9 and 10) is already counted in user time.
    spent = [late - early for early, late in zip(before[:8], after[:8], strict=True)]
    return spent[7] / sum(spent) if sum(spent) > 0 else 0.0


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
