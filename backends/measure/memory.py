"""Resident memory of this process, now and at its peak, as the system counts it."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

_STATUS = Path("/proc/self/status")


def resident_bytes() -> int:
    """Resident memory now; where only the peak can be read, the peak."""
    return _status_field("VmRSS") or _ever_peak_bytes()


def peak_bytes() -> int:
    """Highest resident memory since the start of the process or the last `restart_peak`."""
    return _status_field("VmHWM") or _ever_peak_bytes()


def restart_peak() -> None:
    """Let the peak start anew from the memory in use, where the system permits it."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _status_field(name: str) -> int:
    try:
        lines = _STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return 0
    for line in lines:
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    return 0


def _ever_peak_bytes() -> int:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
