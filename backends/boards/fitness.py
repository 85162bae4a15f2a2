"""Whether a device is fit to measure on: what was found, held against what measuring needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...profiles.words import joined
from ..registry import backend_names, get_backend
from .conditions import Finding, conditions
from .facts import Disk, Facts
from .meters import SeenMeters

LEAST_DISK_BYTES = 200_000_000
"""For what is sent there: artifacts, and a runtime's caches."""
LEAST_MEMORY_BYTES = 256_000_000
"""Two runners with a runtime loaded, a candidate's and the reference's: 100 MB each without the models."""
MOST_TOLD_APART = 0.10
"""As for a measurement, which is noisy where its interval is wider than ± 5 %."""
LONG_START_S, LONG_ROUND_TRIP_S = 10.0, 0.25


@dataclass(frozen=True, kw_only=True)
class Fitness:
    """What was found on a device that answers."""

    device: str
    findings: tuple[Finding, ...]

    @property
    def fit(self) -> bool:
        """Whether nothing speaks against measuring there."""
        return not self.against

    @property
    def against(self) -> tuple[Finding, ...]:
        """What speaks against it."""
        return tuple(finding for finding in self.findings if finding.ok is False)

    def value(self, name: str) -> Any:
        """Of the finding of that name; None without."""
        return next((finding.value for finding in self.findings if finding.name == name), None)


def judged(facts: Facts, profile: str) -> Fitness:
    """What the facts mean. `profile` is what the user calls the device on the command line."""
    findings = (
        *_reached(facts, profile),
        _as_profiled(facts),
        _versions(facts, profile),
        *(_disk(disk, facts) for disk in facts.disks),
        _memory(facts),
        _load(facts),
        *conditions(facts),
        _cores(facts),
        Finding(name="work_s", value=facts.noise.work_s, ok=None if facts.noise.work_s is None else True),
        _noise(facts),
        _meter(facts.meters),
    )
    return Fitness(device=facts.device, findings=findings)


def _reached(facts: Facts, profile: str) -> Iterator[Finding]:
    slow_line = facts.round_trip_s > LONG_ROUND_TRIP_S
    yield Finding(
        name="round_trip_s",
        value=facts.round_trip_s,
        ok=None if slow_line else True,
        why="every sample is a request of its own: measuring takes long, its numbers are no worse"
        if slow_line
        else "",
    )
    slow = facts.start_s > LONG_START_S
    yield Finding(
        name="start_s",
        value=facts.start_s,
        ok=None if slow else True,
        why="each candidate is scored and measured in runners of its own" if slow else "",
        remedy=f"`paretune devices setup {profile}` compiles what a runner imports"
        if slow and not facts.prepared
        else "",
    )


def _as_profiled(facts: Facts) -> Finding:
    other = facts.other_device
    if other is not None:
        why = f"{other.problem}: {other.found}" if other.found else other.problem
        return Finding(name="profile", value="another device", ok=False, why=why, remedy=other.remedy)
    why = "; ".join(facts.differs)
    return Finding(name="profile", value=list(facts.differs), ok=None if why else True, why=why)


def _versions(facts: Facts, profile: str) -> Finding:
    there, here = (dict(one.get("packages") or {}) for one in (facts.environment, facts.here))
    found = {"python": str(facts.environment.get("python") or ""), **there}
    own = {"python": str(facts.here.get("python") or ""), **here}
    value = {"there": found, "here": {name: own.get(name, "") for name in found}}
    if facts.by_hand and there.get("paretune") != here.get("paretune"):
        return Finding(
            name="versions",
            value=value,
            ok=False,
            why=f"the runner there is paretune {there.get('paretune') or 'of no version'}, here it is "
            f"{here.get('paretune')}",
            remedy=f"`paretune devices setup {profile}` puts this one there",
        )
    if not _has_runtime(there):
        remedy = f"`paretune devices setup {profile}`" if facts.by_hand else "`paretune backends`"
        why = "there is no runtime that could load a model"
        return Finding(name="versions", value=value, ok=False, why=why, remedy=remedy)
    other = [name for name in there if name in here and there[name] != here[name]]
    why = f"{joined(other)}: numbers are those of the device's own version" if other else ""
    why = "; ".join(filter(None, [why, facts.other_runner]))
    return Finding(name="versions", value=value, ok=None if why else True, why=why)


def _has_runtime(packages: Mapping[str, str]) -> bool:
    return any(not set(get_backend(name).packages).isdisjoint(packages) for name in backend_names())


def _disk(disk: Disk, facts: Facts) -> Finding:
    return _room(f"{disk.purpose}_disk_bytes", disk.free_bytes, LEAST_DISK_BYTES, f"at {disk.path}", facts)


def _memory(facts: Facts) -> Finding:
    return _room("memory_bytes", facts.free_memory_bytes, LEAST_MEMORY_BYTES, "of memory", facts)


def _room(name: str, free: int | None, least: int, where: str, facts: Facts) -> Finding:
    if free is None:
        return Finding(name=name, value=None, ok=None, why="the device does not say")
    if free >= least:
        return Finding(name=name, value=free)
    return Finding(
        name=name,
        value=free,
        ok=False,
        why=f"{free / 1e6:.0f} MB are free {where}, {least / 1e6:.0f} MB are needed",
        remedy=f"free {(least - free) / 1e6:.0f} MB {where} on {facts.device}",
    )


def _load(facts: Facts) -> Finding:
    told, cores = facts.environment.get("load_average"), facts.environment.get("cores")
    busy = told[0] if isinstance(told, list) and told and isinstance(told[0], float | int) else None
    if busy is None or not isinstance(cores, int) or cores < 1:
        return Finding(name="load", value=None, ok=None, why="the device does not say")
    if busy <= cores / 2:
        return Finding(name="load", value=busy)
    why = f"others keep its {cores} cores busy, which shows in the noise"
    return Finding(name="load", value=busy, ok=None, why=why, remedy="end what else runs there")


def _cores(facts: Facts) -> Finding:
    held = facts.noise.cores
    speeds = {str(core): speed for core, speed in facts.fastest.speeds.items()}
    why = "" if held or facts.noise.failed else "this device does not let a process choose its cores"
    if facts.fastest.differ:
        why = "its cores differ in speed: everything is measured on the fastest"
    value = {"held": list(held), "speeds": speeds}
    return Finding(name="cores", value=value, ok=True if held else None, why=why)


def _noise(facts: Facts) -> Finding:
    noise = facts.noise
    if noise.told_apart is None:
        why = noise.failed or "too few processes could be compared"
        return Finding(name="told_apart", value=None, ok=False, why=why, remedy="check it again")
    value = noise.told_apart
    share = f"{100 * value:.2g} %" if value < 0.995 else f"{100 * value:.0f} %"
    said = f"two models that differ by less than {share} cannot be told apart here"
    if value <= MOST_TOLD_APART:
        return Finding(name="told_apart", value=value, why=said)
    remedy = "end what else runs there, fix the clock, let it cool; then check it again"
    return Finding(name="told_apart", value=value, ok=False, why=said, remedy=remedy)


def _meter(meters: SeenMeters) -> Finding:
    """No meter speaks against no measurement but that of energy."""
    value = {"there": list(meters.there), "taken": meters.taken, "shown": meters.text}
    why = f"energy cannot be measured: {meters.why}" if meters.why else ""
    return Finding(
        name="meter",
        value=value if meters.told else None,
        ok=None if meters.remedy or not meters.told else True,
        why=why,
        remedy=meters.remedy,
    )
