"""A device that cannot be reached: who may have it estimated, and what this machine does in its place."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from ...backends.measure.environment import saturates_here
from ...backends.registry import get_backend
from ...backends.runner.launch import LocalLaunch
from ...profiles.devices.host import probe_host
from ...profiles.devices.schema import Profile
from ...profiles.errors import UserError
from ..record.candidate import Candidate
from ..record.digest import digest_of
from ..record.estimated import Brought
from ..record.evaluation import Masked, Quantity
from ..space.space import Space
from .reached import Reached

_COMPILED_THERE = "its artifacts belong to the device that compiles them, which cannot be reached"
_TUNED_THERE = "it is tuned on the device, which cannot be reached"
_RUNS_THERE = "what it compiles for {} does not run on this machine, so that it cannot be scored"


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """What a study has measured of models on some device: plain numbers by metric, by candidates that stand
    for their structures; `source` says which."""

    source: str
    profile: Profile
    threads: int
    measured: tuple[tuple[Candidate, dict[str, float]], ...]


@dataclass(frozen=True, kw_only=True)
class Estimating:
    """That the device of a job is estimated. `brought` are measurements of it that somebody has made,
    `before` the latencies by candidate as they were estimated without the latest of them. `recorded` is what
    studies have measured of the same models, here or there."""

    brought: tuple[Brought, ...] = ()
    recorded: tuple[Recorded, ...] = ()
    before: dict[str, Quantity] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Of what makes estimates others than those of an earlier session."""
        rows = [[one.artifact, one.metrics] for one in self.brought]
        others = [[one.profile.name, one.threads, len(one.measured)] for one in self.recorded]
        return digest_of([rows, others])[:16] if rows or others else "the profile"

    @property
    def basis(self) -> tuple[str, ...]:
        """What estimates rest on beside the profile, in sentences."""
        said = [f"Kernels are known from {one.source}." for one in self.recorded]
        return tuple(said or ["No study beside this one has had these models on any device."])


def check_absent(profile: Profile) -> None:
    """Raises:
    UserError: the profile says how its device is reached, so that it is measured.
    """
    reach = profile.reach
    if reach.kind == "none":
        return
    here = reach.kind == "local"
    hosts = ", ".join(profile.pool) or getattr(reach, "host", "")
    where = "is this machine" if here else f"is reached at {hosts}"
    raise UserError(
        f"a device that can be reached is measured, not estimated: {profile.name} {where}",
        place="--estimate",
        accepted="a profile without `reach`, such as those that come with Paretune (`paretune devices`)",
        remedy="leave out --estimate"
        + ("" if here else "; or, while the device is away, name a copy of the profile without `reach`"),
    )


def stand_in(profile: Profile, *, tries: bool = False) -> Reached:
    """This machine in the place of an absent device: artifacts are compiled and scored here. `tries`: the
    study file asks for what can only be measured."""
    here = probe_host(measure=False)
    remarks = [f"quality was scored on this machine, not on {profile.name}"]
    if profile.int8_saturates != saturates_here():
        sums = "add 8-bit products in 16 bits" if saturates_here() else "do not saturate"
        remarks.append(
            f"sums of int8 kernels {sums} here and otherwise there: the quality of int8 models may differ on "
            f"{profile.name}"
        )
    elif profile.architecture != here.architecture:
        remarks.append(
            f"integer kernels of {profile.architecture} and of {here.architecture} may round otherwise: a "
            "sample here and there may be classed otherwise on the device"
        )
    if tries:
        remarks.append(
            "further threads, batch sizes and options, and sustained load, wait until the device is there"
        )
    return Reached(
        launch=LocalLaunch(),
        instructions=here.instruction_digest,
        int8_saturates=saturates_here(),
        remarks=tuple(remarks),
    )


def described(profile: Profile) -> dict[str, Any]:
    """What the record says of the device: its profile alone."""
    cpu, gpu = profile.cpu, profile.gpu
    return {
        "absent": f"not reached: all of this is by the profile {profile.name!r}",
        "processor": cpu.model if cpu else "",
        "gpu": gpu.model if gpu else "",
        "machine": profile.architecture,
        "instructions": list(profile.instruction_sets),
        "cores": profile.cores,
        "memory_bytes": profile.memory_bytes,
    }


def possible_here(space: Space, profile: Profile) -> Space:
    """The space without the backends whose artifacts cannot be made or scored without the device.

    Raises:
        UserError: none is left.
    """
    reasons = {one.name: _why_not(one.name, profile) for one in space.backends}
    left = tuple(one for one in space.backends if not reasons[one.name])
    masked = tuple(Masked(backend=name, what="all", reason=why) for name, why in reasons.items() if why)
    if not left:
        raise UserError(
            f"no backend is left whose artifacts can be made and scored without {profile.name}",
            place="space.backend",
            found="; ".join(f"{one.backend}: {one.reason}" for one in masked),
            remedy="name another backend, or reach the device",
        )
    return replace(space, backends=left, masked=(*space.masked, *masked))


def _why_not(name: str, profile: Profile) -> str:
    backend = get_backend(name)
    target = backend.target(profile)
    if backend.compiles_on_device:
        return _COMPILED_THERE
    if backend.tunable:
        return _TUNED_THERE
    return "" if backend.runs_here(target) else _RUNS_THERE.format(target)
