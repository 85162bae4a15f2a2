"""What an artifact takes in memory, by phases."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes, seen in so many `processes`; the peaks of the phases stand among the metrics.

    `process` is what the runner (Python, numpy and ours) held before runtime and model were loaded; all else
    lies above that: `loaded` is what was held when the session was ready, `first` after the first run,
    `steady` after `runs` more, and `mapped` how much of that are pages of files, which the system can drop
    and read again. `growth` is what each run added where memory grew steadily to the end (0: it did not),
    `settled` whether it had come to rest. `apart` is false where the device cannot tell peaks of phases
    apart. `runtime` is the peak of the runtime with a model that computes next to nothing (None: not asked).
    """

    processes: int
    process: int
    loaded: int
    first: int
    steady: int
    mapped: int = 0
    runs: int = 0
    settled: bool = True
    growth: float = 0.0
    apart: bool = True
    runtime: int | None = None
