"""`paretune devices check`: is a device fit to measure on?"""

from __future__ import annotations

from collections.abc import Callable

from ...profiles.devices.schema import Profile
from ...profiles.devices.shown import ROUND_TRIP, START, WORK, remember
from ..runner.client import Guard
from .facts import look_at
from .fitness import Fitness, judged


def check(
    profile: Profile,
    name: str,
    tell: Callable[[str], None] = lambda text: None,
    guard: Guard | None = None,
    device: str = "",
) -> Fitness:
    """Look at the profile's device (of a pool the one of that name), which the user calls `name`; what it
    showed of its pace is remembered.

    Raises:
        UserError: the device cannot be reached.
        StageError: it does not answer as it should.
    """
    facts = look_at(profile, tell, guard, device)
    work = [] if facts.noise.work_s is None else [facts.noise.work_s]
    remember(profile, {START: [facts.start_s], ROUND_TRIP: [facts.round_trip_s], WORK: work})
    return judged(facts, name)
