"""A study has one meter from start to end: what two of them tell cannot be compared."""

from __future__ import annotations

from collections.abc import Iterable

from ...backends.energy.chosen import ChosenMeter
from ...profiles.errors import UserError
from ..record.evaluation import TrialRecord


def check_one_meter(meter: ChosenMeter | None, trials: Iterable[TrialRecord]) -> None:
    """Refuse to go on with another meter than the one by which a study has measured.

    Raises:
        UserError: it is another.
    """
    told = (trial.evaluation.deployed.energy for trial in trials)
    before = next((one for one in told if one is not None), None)
    if before is None or meter is None or before.by == meter.facts.title:
        return
    raise UserError(
        "energy was measured by another meter in this study before, and the two cannot be compared",
        place="profile: meter",
        found=f"{meter.facts.title} now, {before.by} before",
        remedy=f"name that one in the profile (`meter: {{kind: {before.meter}, rail: {before.rail}}}`), or "
        "give the study file another `name`",
    )
