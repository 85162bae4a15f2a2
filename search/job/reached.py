"""The device of a study, reached: how runners are started there, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...backends.boards.same_runner import runner_remark
from ...backends.energy.chosen import ChosenMeter
from ...backends.energy.named import wish_of
from ...backends.registry import packages
from ...backends.runner.client import Guard, RunnerClient
from ...backends.runner.launch import Launch, launch_for
from ...profiles.devices.instructions import int8_saturates
from ...profiles.devices.reported import Reported, digest_of_device, fit_of
from ...profiles.devices.schema import Profile
from ...profiles.errors import UserError
from ...profiles.packages import differing, versions
from .looked import Looked, look_here, look_there


@dataclass(frozen=True, kw_only=True)
class Reached:
    """A device that answers. `environment` is what it says of itself, empty where it is this machine;
    `instructions` is the digest of what decides the numbers that its kernels compute, `int8_saturates` as in
    `Profile`; `remarks` say where it is not quite what its profile says, or not quite fit to be measured on;
    `looked` is how it was found, where it is to be measured, and `meter` what tells energy there."""

    launch: Launch
    instructions: str
    int8_saturates: bool = False
    environment: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    looked: Looked = field(default_factory=Looked)
    meter: ChosenMeter | None = None


def reach(profile: Profile, guard: Guard, threads: int = 0) -> Reached:
    """Ask the profile's device who it is, and where so many threads are to be measured, how it is and which
    cores are the fastest.

    Raises:
        UserError: the profile does not say how it is reached, it does not answer, it is another device, or a
            quota leaves it less than the threads want.
    """
    if profile.reach.kind == "none":
        raise UserError(
            f"the profile {profile.name!r} does not say how to reach the device",
            place="profile",
            accepted="`paretune plan` works for any profile; to measure, `run` needs a device",
            remedy="copy the profile to a file of your own, add `reach: {kind: ssh, host: ...}`, and "
            "name that file; or use `profile: host` for this machine; or, while the device is away, have "
            "its latency, memory and energy estimated: add --estimate",
        )
    launch = launch_for(profile)
    if launch.shares_files:
        digest, saturates = profile.instruction_digest, profile.int8_saturates
        looked = look_here(threads, wish_of(profile))
        return Reached(
            launch=launch,
            instructions=digest,
            int8_saturates=saturates,
            remarks=looked.remarks,
            looked=looked,
        )
    with RunnerClient(launch, guard=guard) as runner:
        hello = runner.hello()
        looked = look_there(runner, threads, wish_of(profile))
    environment = hello.environment
    remarks, told = fit_of(profile, environment), Reported.of(environment).instruction_sets
    return Reached(
        launch=launch,
        instructions=digest_of_device(profile, environment),
        int8_saturates=int8_saturates(
            profile.architecture, profile.instruction_sets if told is None else told
        ),
        environment=environment,
        remarks=(*remarks, *filter(None, [runner_remark(hello)]), *looked.remarks),
        looked=looked,
    )


def other_versions(environment: Mapping[str, Any]) -> tuple[str, ...]:
    """A remark on versions that differ between the device and here."""
    here = versions(("paretune", "numpy", *packages()))
    found = differing(here, environment.get("packages") or {})
    if not found:
        return ()
    named = "; ".join(f"{name} {there} there, {here} here" for name, (here, there) in found.items())
    return (f"the device has other versions: {named}. Whether they compute alike is tried on each artifact",)
