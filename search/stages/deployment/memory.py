"""The question what an artifact takes in memory: loading, in its first run, and in steady state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from statistics import fmean
from typing import Any

from ....backends.measure.memory import ArtifactMemory, ProcessMemory
from ....backends.measure.samples import REFERENCE
from ....backends.runner.client import RunnerClient
from ....backends.runner.memory_told import process_memory, settled_memory
from ...record.deployed import Deployed
from ...record.evaluation import Quantity
from ...record.memory import Memory
from ...store.store import Entry
from ..device.memory_seen import SETTLING_S, peak
from ..device.stages import DeviceStages
from .further import Subject, Told
from .runtime_need import known_need

_STAGE, _VERSION = "memory", 1
_PHASES = {
    "memory_load_bytes": ("load", "loading"),
    "memory_first_bytes": ("first", "the first run"),
    "memory_steady_bytes": ("steady", "further runs"),
}


class MemoryQuestion:
    """The processes in which an artifact was timed have told; it is opened for it where they have not, as
    before that was asked."""

    metrics = frozenset(_PHASES)

    def told(self, subject: Subject, device: DeviceStages) -> Told:
        """Peaks above what the process held before runtime and model were loaded."""
        if not subject.thorough and self.metrics <= subject.known.keys():
            return Told()
        found = subject.rounds.memory.get(subject.name)
        entries: list[Entry] = []
        if found is None:
            compiled, backend = subject.compiled, subject.backend
            entry = device.apart.asked(_STAGE, _VERSION, compiled, backend, {}, _ask, subject.setting)
            found, entries = _kept(entry.meta), [entry]
        if found is None:
            return Told(entries=entries)
        alike = subject.rounds.memory.get(REFERENCE)
        metrics = {
            metric: peak([one.above_base(phase) for one in found.processes], phase, alike, where)
            for metric, (phase, where) in _PHASES.items()
        }
        if subject.thorough:
            most = [one.most for one in found.processes]
            metrics["memory_bytes"] = peak(most, "", alike, "loading and running")
        deployed = device.deployment
        need = known_need(device.store, subject.backend, deployed.device, deployed.threads)
        runtime = None if need is None else need.of("memory_bytes")
        return Told(metrics=metrics, deployed=Deployed(memory=_memory(found, runtime)), entries=entries)


def memory_of_measured(meta: Mapping[str, Any]) -> dict[str, Quantity]:
    """What the measurement of a latency has told of memory beside: the highest peak, and the phases' where it
    knows of them."""
    how = "peak resident memory of the process above what it held before runtime and model were loaded"
    if "phases" not in meta:
        return {"memory_bytes": Quantity(value=meta["memory_bytes"], how=how)}
    found = process_memory(meta["phases"], "phases")
    phases = {
        metric: peak([found.above_base(phase)], phase, None, where)
        for metric, (phase, where) in _PHASES.items()
    }
    return {"memory_bytes": Quantity(value=max(meta["memory_bytes"], found.most), how=how), **phases}


def _ask(runner: RunnerClient) -> Mapping[str, Any]:
    found = settled_memory([runner], SETTLING_S)
    return {} if found is None else asdict(found)


def _kept(meta: Mapping[str, Any]) -> ArtifactMemory | None:
    if not meta:
        return None
    processes = tuple(process_memory(one, "processes") for one in meta["processes"])
    return ArtifactMemory(**{**meta, "processes": processes})


def _memory(found: ArtifactMemory, runtime: int | None) -> Memory:
    def middle(name: str, *, above: bool = True) -> int:
        return round(fmean(getattr(one, name) - one.base * above for one in found.processes))

    ran_on: ProcessMemory = found.processes[0]
    return Memory(
        processes=len(found.processes),
        process=middle("base", above=False),
        loaded=middle("load_held"),
        first=middle("first_held"),
        steady=max(0, ran_on.steady_held - ran_on.base),
        mapped=ran_on.mapped,
        runs=found.runs,
        settled=found.settled,
        growth=found.growth_bytes,
        apart=all(one.apart for one in found.processes),
        runtime=runtime,
    )
