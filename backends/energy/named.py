"""What a profile says of its device's meter, and which one is taken by it."""

from __future__ import annotations

from ...profiles.devices.schema import Profile
from .chosen import ChosenMeter
from .discover import MetersFound, MeterWish


def wish_of(profile: Profile) -> MeterWish:
    """What is looked for."""
    said = profile.meter
    if said is None:
        return MeterWish()
    return MeterWish(
        kind=said.kind,
        rails=said.rail,
        scope=said.scope or "",
        root=said.root or "/",
        program=said.program or "",
    )


def taken_by(profile: Profile, found: MetersFound) -> ChosenMeter:
    """The meter of those that were found.

    Raises:
        MeterError: there is none such; says what there is in its place.
    """
    said = profile.meter
    return ChosenMeter.of(
        found,
        wish_of(profile),
        gpu=profile.gpu is not None,
        named=said is not None,
        least_s=(said.window or 0.0) if said else 0.0,
    )
