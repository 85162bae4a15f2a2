"""The device of a study, reached: how runners are started there, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ...backends.boards.same_runner import runner_remark
from ...backends.energy.chosen import ChosenMeter
from ...backends.energy.named import wish_of
from ...backends.registry import packages
from ...backends.runner.client import Guard, RunnerClient
from ...backends.runner.launch import Launch, launch_for
from ...backends.runner.trouble import UnreachableError
from ...profiles.devices.instructions import int8_saturates
from ...profiles.devices.reported import Reported, digest_of_device, fit_of
from ...profiles.devices.schema import Profile
from ...profiles.errors import InternalError, UserError
from ...profiles.packages import differing, versions
from .looked import Looked, look_here, look_there


@dataclass(frozen=True, kw_only=True)
class Reached:
    """A device that answers. `environment` is what it says of itself, empty where it is this machine;
    `instructions` is the digest of what decides the numbers that its kernels compute, `int8_saturates` as in
    `Profile`; `remarks` say where it is not quite what its profile says, or not quite fit to be measured on;
    `looked` is how it was found, where it is to be measured, and `meter` what tells energy there. `device` is
    what it is called in its pool (empty: it is the only one), and `alike` are all that can be used with it,
    where they were asked."""

    launch: Launch
    instructions: str
    int8_saturates: bool = False
    environment: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    looked: Looked = field(default_factory=Looked)
    meter: ChosenMeter | None = None
    device: str = ""
    alike: tuple[str, ...] = ()


def reach(profile: Profile, guard: Guard, threads: int = 0, device: str = "") -> Reached:
    """Ask the profile's device who it is, and where so many threads are to be measured, how it is and which
    cores are the fastest. Of a pool it is the one of that name, or without a name the first that answers.

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
    if profile.pool and not device:
        return _first(profile, guard, threads)
    launch = launch_for(profile.of_device(device), device)
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
    remarks, told = _fit(profile, environment, device), Reported.of(environment).instruction_sets
    return Reached(
        launch=launch,
        instructions=digest_of_device(profile, environment),
        int8_saturates=int8_saturates(
            profile.architecture, profile.instruction_sets if told is None else told
        ),
        environment=environment,
        remarks=(*remarks, *filter(None, [runner_remark(hello)]), *looked.remarks),
        looked=looked,
        device=device,
    )


def _fit(profile: Profile, environment: Mapping[str, Any], device: str) -> tuple[str, ...]:
    """As `fit_of`, which names one of a pool."""
    try:
        return fit_of(profile, environment)
    except UserError as error:
        raise error.placed(f"profile, device {device}" if device else error.place) from None


def _first(profile: Profile, guard: Guard, threads: int) -> Reached:
    """The first device of a pool that answers, with remarks on those before it.

    Raises:
        UnreachableError: none does.
    """
    away: list[str] = []
    for name in profile.pool:
        try:
            found = reach(profile, guard, threads, name)
        except UnreachableError as error:
            if name == profile.pool[-1]:
                raise
            away.append(left_out(error))
        else:
            return replace(found, remarks=(*away, *found.remarks))
    raise InternalError("a pool without a device")


def left_out(error: UnreachableError) -> str:
    """A remark on a device of a pool that cannot be reached."""
    return f"{error.problem}; it is left out ({error.found})"


def other_versions(environment: Mapping[str, Any]) -> tuple[str, ...]:
    """A remark on versions that differ between the device and here."""
    here = versions(("paretune", "numpy", *packages()))
    found = differing(here, environment.get("packages") or {})
    if not found:
        return ()
    named = "; ".join(f"{name} {there} there, {here} here" for name, (here, there) in found.items())
    return (f"the device has other versions: {named}. Whether they compute alike is tried on each artifact",)
