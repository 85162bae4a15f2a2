"""What a runner tells of its memory, and of the runtime before any model is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from ...profiles.errors import StageError
from ..measure.memory import ArtifactMemory, ProcessMemory
from .client import RunnerClient
from .reading import Reader, flag, mapping, maybe, number, whole

_ASKED_S, _MARGIN_S = 60.0, 300.0


def memory_of(runner: RunnerClient) -> ProcessMemory | None:
    """What the process has taken so far; None where an older runner cannot tell, or nothing has run.

    Raises:
        StageError: it does not answer as it should.
    """
    return runner.ask("memory", _ASKED_S).read("phases", maybe(process_memory), None)


def settled_memory(runners: Sequence[RunnerClient], seconds: float) -> ArtifactMemory | None:
    """Runners of one artifact, the first of them after at most so many seconds of further runs; None as
    `memory_of`.

    Raises:
        StageError: one does not answer as it should.
    """
    ran = runners[0].ask("steady", seconds + _MARGIN_S, {"seconds": seconds})
    found = [memory for one in runners if (memory := memory_of(one)) is not None]
    if len(found) < len(runners):
        return None
    return ArtifactMemory(
        processes=tuple(found),
        runs=ran.read("runs", whole),
        settled=ran.read("settled", flag),
        growth_bytes=ran.read("growth_bytes", number),
    )


def free_memory(runner: RunnerClient) -> int | None:
    """What the machine of a runner has left for further processes; None where it does not tell: an earlier
    paretune there, or its system.

    Raises:
        StageError: the runner has ended.
    """
    try:
        return runner.ask("space", _ASKED_S).read("memory", _free_bytes)
    except StageError:
        if runner.ended is not None:
            raise
        return None


def runtime_bytes(runner: RunnerClient, backend: str) -> int | None:
    """What the import of a runtime alone takes in a fresh runner; None where it is not installed there.

    Raises:
        StageError: it does not answer as it should.
    """
    return runner.ask("runtime", _ASKED_S, {"backend": backend}).read("held_bytes", maybe(whole))


def _free_bytes(value: Any, name: str) -> int | None:
    read: Reader[int | None] = maybe(whole)
    return read(mapping(value, name).get("free_bytes"), f"free_bytes of {name}")


def process_memory(value: Any, name: str) -> ProcessMemory:
    """What a process tells of itself, or kept of one."""
    found = mapping(value, name)
    wanted = [one.name for one in fields(ProcessMemory) if one.name != "apart"]
    figures = {one: whole(found.get(one), f"{one} of {name}") for one in wanted}
    return ProcessMemory(**figures, apart=flag(found.get("apart", True), f"apart of {name}"))
