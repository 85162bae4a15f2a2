"""What was seen of the device during the rounds of a measurement, in short."""

from __future__ import annotations

from ...profiles.errors import StageError
from ...profiles.watched import Watched
from ..watch.lines import quota_text, span
from ..watch.slowdown import quota_cut, slowdown
from .samples import REFERENCE, Rounds
from .summary import MOST_STEAL, by_round

MOST_CUT, _FEWEST_CUT = 0.05, 2
"""Of a quota's periods: beyond that share, and that many, what was measured is the quota."""


def watched(rounds: Rounds) -> Watched | None:
    """A summary of the readings; None where there are none."""
    readings = rounds.watched
    if not readings:
        return None
    states = [state for _, state in readings]
    clocks = [mhz for state in states for mhz in state.clock_mhz.values()]
    warm = [hot for state in states if (hot := state.hottest_c) is not None]
    slowing = [names for state in states if (names := state.slowing) is not None]
    quotas = [state.quota.cores for state in states if state.quota is not None]
    cut, periods = quota_cut(readings)
    series = rounds.series.get(REFERENCE)
    stolen = rounds.steal_share or 0.0
    elsewhere = "other machines took processor time" if stolen > MOST_STEAL else ""
    return Watched(
        readings=len(readings),
        governor=next((state.governor for state in states if state.governor), ""),
        power_mode=next((state.power_mode for state in states if state.power_mode), ""),
        clock_mhz=span(clocks) if clocks else None,
        temperature_c=span(warm) if warm else None,
        slowed=tuple(dict.fromkeys(name for names in slowing for name in names)) if slowing else None,
        quota_cores=min(quotas, default=None),
        quota_cut=round(cut / periods, 4) if periods else None,
        slowdown=slowdown(readings, by_round(series).tolist() if series else (), elsewhere),
    )


def refuse_cut_short(rounds: Rounds) -> None:
    """A measurement that a quota has cut short is none.

    Raises:
        StageError: it has; that says nothing about what was measured.
    """
    cut, periods = quota_cut(rounds.watched)
    quota = next((state.quota for _, state in reversed(rounds.watched) if state.quota), None)
    if quota is None or cut < _FEWEST_CUT or cut <= MOST_CUT * periods:
        return
    raise StageError(
        "measure",
        f"a quota cut it short in {cut} of {periods} periods: the device's control group leaves it "
        f"{quota_text(quota, counted=False)}; give it more (`docker run --cpus`, `limits.cpu`, `CPUQuota=`), "
        "or lower `deploy.threads`",
        outside=True,
    )
