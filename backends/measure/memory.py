"""Resident memory of this process as the system counts it, now and at its peak; and of a model, by phases."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_STATUS, _ROLLUP = Path("/proc/self/status"), Path("/proc/self/smaps_rollup")


def resident_bytes() -> int:
    """Resident memory now; where only the peak can be read, the peak."""
    return _field("VmRSS") or _ever_peak_bytes()


def exact_resident_bytes() -> int:
    """Resident memory now, page by page: slower to read, and without what `VmRSS` lags behind by."""
    return _field("Rss", _ROLLUP) or resident_bytes()


def mapped_bytes() -> int:
    """Of the resident memory, pages of files (libraries, models that are read in place): the system can drop
    them and read them again; 0 where that is not told."""
    return _field("RssFile")


def peak_bytes() -> int:
    """Highest resident memory since the start of the process or the last `restart_peak`."""
    return _field("VmHWM") or _ever_peak_bytes()


def restart_peak() -> bool:
    """Let the peak start anew from the memory in use; whether the system permits it."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


@dataclass(frozen=True, kw_only=True)
class ProcessMemory:
    """Memory of one process, in bytes. `base` is what it held before runtime and model were loaded; of each
    phase the peak, and what was held at its end: `load` until the session was ready, `first` the first run,
    `steady` all runs since then. `mapped` is how many pages of files more than at `base` it held in the end.
    `apart` is false where the system does not let a peak start anew, so that the peak of a phase is that of
    all before it, too.
    """

    base: int
    load_peak: int
    load_held: int
    first_peak: int
    first_held: int
    steady_peak: int
    steady_held: int
    mapped: int = 0
    apart: bool = True

    def above_base(self, phase: str) -> int:
        """What the peak of a phase ("load", "first", "steady") lies above what was held before."""
        return max(0, int(getattr(self, f"{phase}_peak")) - self.base)

    @property
    def most(self) -> int:
        """The highest peak of all phases above what was held before."""
        return max(map(self.above_base, ("load", "first", "steady")))


@dataclass(frozen=True, kw_only=True)
class ArtifactMemory:
    """Processes that ran one artifact. The first of them ran on, so many `runs`, until its memory was
    `settled`; `growth_bytes` is what each run added where it grew steadily to the end (0: it did not)."""

    processes: tuple[ProcessMemory, ...]
    runs: int = 0
    settled: bool = True
    growth_bytes: float = 0.0


class Phases:
    """What this process holds while a model is opened and run."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Nothing of runtime and model is loaded yet."""
        self._apart = restart_peak()
        self._base, self._mapped = resident_bytes(), mapped_bytes()
        self._load: tuple[int, int] | None = None
        self._first: tuple[int, int] | None = None

    def loaded(self) -> None:
        """The session is ready."""
        self._load = self._ended()

    def first_run(self) -> None:
        """The first run is done; later ones are none."""
        self._first = self._first or self._ended()

    def told(self) -> Mapping[str, Any]:
        """`growth_bytes`: the peak up to and including the first run, less what the process (Python, numpy
        and ours) took before runtime and model were loaded. `phases`: a `ProcessMemory`, once it has run."""
        known = [self._load, self._first] if self._load and self._first else [(peak_bytes(), 0)]
        growth = {"growth_bytes": max(0, max(peak for peak, _ in filter(None, known)) - self._base)}
        if not self._load or not self._first:
            return growth
        whole = ProcessMemory(
            base=self._base,
            load_peak=self._load[0],
            load_held=self._load[1],
            first_peak=self._first[0],
            first_held=self._first[1],
            steady_peak=peak_bytes(),
            steady_held=resident_bytes(),
            mapped=max(0, mapped_bytes() - self._mapped),
            apart=self._apart,
        )
        return {**growth, "phases": asdict(whole)}

    def _ended(self) -> tuple[int, int]:
        """Peak and memory at the end of a phase; the peak starts anew."""
        found = peak_bytes(), resident_bytes()
        self._apart = restart_peak() and self._apart
        return found


def _field(name: str, path: Path = _STATUS) -> int:
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
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
