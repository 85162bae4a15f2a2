"""What a plan says of a device that cannot be reached: that it may be estimated, and what that leaves out."""

from __future__ import annotations

from ...profiles.devices.schema import Profile
from ...profiles.errors import UserError
from ...profiles.words import joined
from ...search.job.absent import possible_here
from ...search.job.job import Job


def absent_plan_lines(job: Job) -> list[str]:
    """Nothing where the device can be reached."""
    profile = job.profile
    if profile.reach.kind != "none":
        return []
    lines = [
        f"{profile.name} cannot be reached, so nothing can be measured on it. With --estimate, `run` and "
        "`retarget` compile and score on this machine, and estimate what it would show: that takes no "
        "time beside compiling and scoring, and has a report of its own",
    ]
    guessed = _guessed(profile)
    if guessed:
        lines.append(f"  guessed, as the profile does not state it: {joined(guessed)}; ranges are wider")
    return [*lines, *_left_out(job)]


def _left_out(job: Job) -> list[str]:
    before = len(job.space.masked)
    try:
        masked = possible_here(job.space, job.profile).masked[before:]
    except UserError as error:
        return [f"  but {error.problem}: {error.found}"]
    return [f"  {one.backend} is left out then: {one.reason}" for one in masked]


def _guessed(profile: Profile) -> list[str]:
    """Figures of the processor that estimates want and the profile lacks."""
    cpu = profile.cpu
    if cpu is None:
        return []
    wanted = {
        "peaks_gop_per_s": cpu.peaks_gop_per_s,
        "bandwidth_gb_per_s": cpu.bandwidth_gb_per_s,
        "caches": cpu.caches,
    }
    return [f"cpu.{name}" for name, value in wanted.items() if not value]
