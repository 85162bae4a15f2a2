"""What artifacts take in memory, asked of processes that are open for another reason."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from ....backends.measure.memory import ArtifactMemory
from ....backends.runner.client import RunnerClient
from ....backends.runner.memory_told import settled_memory
from ....profiles.errors import StageError

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
