"""What telling energy will take in a study, before its device was asked."""

from __future__ import annotations

from dataclasses import dataclass

from ...backends.energy.chosen import ChosenMeter
from ...backends.energy.discover import look
from ...backends.energy.meter import MeterFacts
from ...backends.energy.named import wish_of
from ...profiles.errors import UserError
from ...profiles.meters import METER_KINDS, RAIL, WINDOW_S
from .job import Job
from .metered import ENERGY, meter_of


@dataclass(frozen=True, kw_only=True)
class EnergyPlan:
    """Seconds for each candidate that is measured (0: only finalists are asked) and for each finalist, from
    least to most where the meter is not known yet; `meter` is its name, and `cannot` why there is none."""

    meter: str = ""
    candidate_s: tuple[float, float] = (0.0, 0.0)
    finalist_s: tuple[float, float] = (0.0, 0.0)
    cannot: str = ""


def energy_plan(job: Job) -> EnergyPlan | None:
    """None where energy is not asked for, or the device has no meter and nobody needs one. This machine is
    looked at; of another device only what its profile says is known."""
    wanted = ENERGY in {*(one.metric for one in job.limits), *(one.metric for one in job.objectives)}
    said = job.profile.meter
    if job.profile.reach.kind == "local":
        try:
            meter = meter_of(job.profile, look(wish_of(job.profile)), job.limits, job.objectives)
        except UserError as error:
            return EnergyPlan(cannot=error.problem)
        return _of([meter], wanted=wanted) if meter and meter.asked(wanted=wanted) else None
    if job.profile.reach.kind == "none" or (not wanted and said is None):
        return None
    return _of([_usual(kind, job) for kind in ([said.kind] if said else METER_KINDS)], wanted=wanted)


def _usual(kind: str, job: Job) -> ChosenMeter:
    """A meter of a kind as it usually is."""
    said = job.profile.meter
    facts = MeterFacts(
        kind=kind, rail=" + ".join(said.rail) if said else "", scope=RAIL, counter=False, every_s=1.0,
        window_s=WINDOW_S[kind],
    )  # fmt: skip
    least_s = (said.window or 0.0) if said else 0.0
    return ChosenMeter(facts=facts, wish=wish_of(job.profile), named=said is not None, least_s=least_s)


def _of(meters: list[ChosenMeter], *, wanted: bool) -> EnergyPlan:
    def seconds(*, thorough: bool) -> tuple[float, float]:
        found = [one.usual_s(one.windows_for(wanted=wanted, thorough=thorough)) for one in meters]
        return min(found), max(found)

    title = f"{meters[0].facts.kind} {meters[0].facts.rail}".strip() if len(meters) == 1 else ""
    return EnergyPlan(
        meter=title,
        candidate_s=seconds(thorough=False) if wanted else (0.0, 0.0),
        finalist_s=seconds(thorough=True),
    )
