"""What artifacts take in memory, asked of processes that are open for another reason."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from math import sqrt
from statistics import fmean, stdev

from ....backends.measure.memory import ArtifactMemory
from ....backends.measure.spread import FEWEST_PROCESSES, student
from ....backends.runner.client import RunnerClient
from ....backends.runner.memory_told import settled_memory
from ....profiles.errors import StageError
from ....profiles.quantity import Quantity

SETTLING_S = 1.0
"""At most so long an artifact runs on until its memory is settled; most take a quarter of it."""


def memory_seen(
    subjects: Mapping[str, Sequence[RunnerClient]], failed: Collection[str] = ()
) -> dict[str, ArtifactMemory]:
    """By name, what each takes whose processes tell; one that fails now has told its latency before."""
    found = {}
    for name in subjects.keys() - set(failed):
        with suppress(StageError):
            memory = settled_memory(subjects[name], SETTLING_S)
            found.update({} if memory is None else {name: memory})
    return found


def peak(values: Sequence[int], phase: str, alike: ArtifactMemory | None, where: str) -> Quantity:
    """What a process takes at most, with the interval in which 95 % of further processes lie: by those of the
    artifact itself, where they are too few by those of the reference, `alike`."""
    middle, half = fmean(values), _half(values, phase, alike)
    how = f"peak of {where} above what the process held before runtime and model were loaded; "
    seen = "one process" if len(values) == 1 else f"{len(values)} processes"
    if half is None:
        return Quantity(value=middle, how=how + seen)
    low, high = min(middle - half, *values), max(middle + half, *values)
    return Quantity(value=middle, low=max(0.0, low), high=high, how=f"{how}{seen}, the interval is of others")


def _half(values: Sequence[int], phase: str, alike: ArtifactMemory | None) -> float | None:
    count = len(values)
    if count >= FEWEST_PROCESSES:
        return student(count) * stdev(values) * sqrt(1 + 1 / count)
    others = [one.above_base(phase) if phase else one.most for one in alike.processes] if alike else []
    if len(others) < FEWEST_PROCESSES or not fmean(others):
        return None
    share = stdev(others) / fmean(others)
    return student(len(others)) * share * fmean(values) * sqrt(1 + 1 / count)
