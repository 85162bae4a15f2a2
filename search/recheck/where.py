"""The two places that are compared: this environment and another one, or this machine and another device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...backends.measure.environment import saturates_here
from ...backends.measure.samples import LatencyPlan
from ...backends.registry import get_backend, offers, probes
from ...backends.runner.client import Guard
from ...backends.runner.launch import Launch, LocalLaunch
from ...backends.runner.leased import DeviceLease
from ...profiles.devices.loader import HOST, load_profile
from ...profiles.devices.schema import Profile
from ...profiles.errors import UserError, at_place
from ..checks.tolerances import Tolerances
from ..job.reached import reach
from ..ranking.known import reference_trial
from ..record.evaluation import StudyRecord
from ..record.progress import Progress
from .findings import Rechecking
from .interpreter import Interpreter
from .kept import KeptArtifact, kept_artifacts
from .questions import StudyNow
from .runtimes import Openings, RuntimePlace, asked, environment, this_environment


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What is the same wherever artifacts are asked."""

    run: Path
    record: StudyRecord
    now: StudyNow | None
    tolerances: Tolerances
    progress: Progress
    guard: Guard

    @property
    def plan(self) -> LatencyPlan:
        """How thoroughly latencies are taken: as the study does of its finalists."""
        if self.now is None:
            return LatencyPlan()
        file = self.now.job.file
        return LatencyPlan(
            rounds=file.measure.finalist_rounds, processes=file.measure.processes, seed=file.seed
        )

    def lease(self, launch: Launch | None = None) -> DeviceLease:
        """The right to use a device; waiting for it is shown."""
        return DeviceLease(
            launch or LocalLaunch(),
            guard=self.guard,
            study=f"recheck of {self.record.name}",
            tell=lambda text, _: self.progress.stage(text),
            note=self.progress.note,
        )


def in_environment(asking: Asking, found: Interpreter, artifacts: Sequence[KeptArtifact]) -> Rechecking:
    """This environment against another one on the same machine.

    Raises:
        UserError: no runner starts there, or no runtime is there that an artifact needs.
    """
    backends = [one.backend for one in artifacts]
    profile = asking.now.job.profile if asking.now else load_profile(HOST, Path(), probes())
    return Rechecking(
        openings=Openings(lease=asking.lease(), guard=asking.guard),
        before=this_environment(backends, asking.guard),
        after=environment(found, backends, asking.guard),
        plan=asking.plan,
        tolerances=asking.tolerances,
        profile=profile,
        progress=asking.progress,
    )


def other_device(named: str, run: Path, now: StudyNow | None) -> Profile:
    """The profile of a device that is not this machine.

    Raises:
        UserError: there is no such profile, or it is this machine.
    """
    base = now.job.places.study_file.parent if now else run.resolve().parent
    with at_place("--profile"):
        profile = load_profile(named, base, probes())
        if profile.reach.kind == "local":
            raise UserError(
                f"{profile.name} is this machine, whose outputs those of another device are held against",
                accepted="the profile of a device that is reached by ssh",
                remedy="`--python ENVIRONMENT` checks another version of the runtime on this machine",
            )
    return profile


def on_device(asking: Asking, profile: Profile, artifacts: Sequence[KeptArtifact]) -> Rechecking:
    """This machine against another device, which is reached now.

    Raises:
        UserError: it does not answer, or has no runtime that an artifact needs.
    """
    threads = max(one.setting.threads for one in artifacts)
    reached = reach(profile, asking.guard, threads)
    for remark in reached.remarks:
        asking.progress.note(remark)
    reference = _reference(asking)
    wanted = [*artifacts, *([reference] if reference else [])]
    backends = [one.backend for one in wanted]
    there = asked(profile.name, reached.launch, backends, asking.guard)
    there = _without_what_cannot_be(there, profile, wanted)
    if all(there.lacks(one.backend) for one in artifacts):
        raise UserError(
            "no artifact can be opened on this device",
            place=f"--profile {profile.name}",
            found="; ".join(dict.fromkeys(f"{one.backend}: {there.lacks(one.backend)}" for one in artifacts)),
            remedy="`paretune devices setup` brings runtimes there; `paretune retarget` compiles for it",
        )
    lease = asking.lease(reached.launch)
    return Rechecking(
        openings=Openings(lease=lease, guard=asking.guard, pinned=reached.looked.fastest.cores or True),
        before=replace(this_environment(backends, asking.guard), title="this machine"),
        after=there,
        plan=asking.plan,
        tolerances=asking.tolerances,
        profile=profile,
        progress=asking.progress,
        saturates=reached.int8_saturates != saturates_here(),
        away=True,
        reference=reference,
    )


def _reference(asking: Asking) -> KeptArtifact | None:
    trial = reference_trial(asking.record)
    if trial is None:
        return None
    try:
        return kept_artifacts(asking.run, asking.record, [trial.number], asking.progress)[0]
    except UserError:  # it is only measured beside
        return None


def _without_what_cannot_be(
    there: RuntimePlace, profile: Profile, artifacts: Sequence[KeptArtifact]
) -> RuntimePlace:
    """The place without backends whose artifacts belong to the device they were compiled for."""
    found = dict(there.available)
    for name in dict.fromkeys(one.backend for one in artifacts):
        backend = get_backend(name)
        offered = offers(name, profile)
        why = ""
        if backend.compiles_on_device or backend.target(profile):
            why = (
                "its artifacts belong to the device they were compiled for; `paretune retarget` makes others"
            )
        elif not any(one.offered for one in offered):
            why = offered[0].reason
        if why:
            found[name] = replace(found[name], installed=False, reason=why)
    return replace(there, available=found)
