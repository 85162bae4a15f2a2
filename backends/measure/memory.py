"""Resident memory of this process, now and at its peak, as the system counts it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

_STATUS = Path("/proc/self/status")


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Resident memory of a runner in bytes, in the order in which things happened.

    `start_bytes`: before the runtime and the model were loaded (Python, numpy and ours). `loaded_bytes`:
    after the model was opened. `peak_bytes`: the highest value up to and including the first run.
    `exact_peak` is False where the system does not let a process start its peak anew, so that the peak may be
    one of the interpreter's own start.
    """

    start_bytes: int
    loaded_bytes: int
    peak_bytes: int
    exact_peak: bool

    @property
    def growth_bytes(self) -> int:
        """Peak memory that the runtime and the model cost: `peak_bytes` over `start_bytes`."""
        return max(0, self.peak_bytes - self.start_bytes)


def resident_bytes() -> int:
    """Resident memory now; where only the peak can be read, the peak."""
    return _status_field("VmRSS") or _ever_peak_bytes()


def peak_bytes() -> int:
    """Highest resident memory since the start of the process or the last `restart_peak`."""
    return _status_field("VmHWM") or _ever_peak_bytes()


def restart_peak() -> bool:
    """Let the peak start anew from the memory in use; False where the system does not permit it."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


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
