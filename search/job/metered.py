"""Whether what a study names can be told at all: energy by a meter of the device, cost by its price."""

from __future__ import annotations

from collections.abc import Sequence

from ...backends.energy.chosen import ChosenMeter
from ...backends.energy.discover import MetersFound
from ...backends.energy.meter import MeterError
from ...backends.energy.named import taken_by
from ...profiles.devices.schema import Profile
from ...profiles.errors import UserError
from ..record.evaluation import Objective
from ..record.limits import LimitSpec

ENERGY, COST = "energy_mj", "cost_per_million_usd"


def meter_of(
    profile: Profile, found: MetersFound | None, limits: Sequence[LimitSpec], objectives: Sequence[Objective]
) -> ChosenMeter | None:
    """The meter of the profile's device; None where there is none and nothing asks for energy. `found` is
    what the device has (None: its runner does not tell).

    Raises:
        UserError: a limit or an objective names energy, which cannot be measured.
    """
    try:
        if found is None:
            raise MeterError(
                "the runner on the device does not know of meters", "`paretune devices setup` brings this one"
            )
        return taken_by(profile, found)
    except MeterError as error:
        asked = _named(ENERGY, limits, objectives)
        if not asked:
            return None
        raise UserError(
            f"energy cannot be measured, because {error.reason}",
            place=asked[0],
            found=asked[1],
            accepted="a device with a meter that can be read: docs/deployment.md has them",
            remedy=error.remedy or "leave energy out, or measure on a device that has a meter",
        ) from None


def check_price(profile: Profile, limits: Sequence[LimitSpec], objectives: Sequence[Objective]) -> None:
    """Refuse a study that names cost where the profile does not tell what an hour of the device costs."""
    asked = _named(COST, limits, objectives)
    if not asked or profile.usd_per_hour is not None:
        return
    lacking = "lifetime_h" if profile.price_usd else "price_usd_per_hour, nor price_usd with lifetime_h"
    raise UserError(
        f"cost cannot be told, because the profile {profile.name!r} has no {lacking}",
        place=asked[0],
        found=asked[1],
        accepted="`price_usd_per_hour: {value: 0.5, source: ...}`, or `price_usd` and `lifetime_h: {value: "
        "26280, source: three years day and night}`",
        remedy="copy the profile to a file of your own, add them, and name that file" if profile.name else "",
    )


def _named(
    metric: str, limits: Sequence[LimitSpec], objectives: Sequence[Objective]
) -> tuple[str, str] | None:
    """Where a study names a metric, and in what words."""
    limit = next((one.text for one in limits if one.metric == metric), None)
    if limit is not None:
        return "constraints", repr(limit)
    named = any(one.metric == metric for one in objectives)
    return ("objectives", metric) if named else None
