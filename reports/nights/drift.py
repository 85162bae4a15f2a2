"""What has become worse little by little: each night by less than is tolerated, all together by more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from ...profiles.errors import UserError
from ...search.checks.tolerances import Tolerances
from ...search.nights.history import NightHistory, NightsFolder
from ...search.nights.night import NightStatus
from ...search.record.checks import Checked, CheckOutcome
from ...search.regress.baseline import Baseline
from ...search.regress.compare import regressed
from ...search.regress.sources import BASELINE_FILE, from_file
from ..content.checks import check_rows


def first_baseline(folder: NightsFolder, history: NightHistory) -> Baseline | None:
    """The first good night that is still whole, from the last on whose loss was accepted."""
    good = [night for night in history.nights if night.status is NightStatus.GOOD]
    accepted = max((at for at, night in enumerate(good) if night.accepted), default=0)
    for night in good[accepted:]:
        try:
            return from_file(folder.folder(night.number) / BASELINE_FILE)
        except UserError:  # thinned, or damaged: a later one will do
            continue
    return None


def drifted(
    first: Baseline, now: Baseline, tolerances: Tolerances, tonight: Checked | None
) -> tuple[str, ...]:
    """A sentence for each metric that failed against the first night, and not against the last one."""
    if first.shipped is None or now.shipped is None or first.workload != now.workload:
        return ()
    known = set() if tonight is None else set(_failed(tonight))
    since = regressed(first, now, tolerances)
    slow = tuple(one for one in since.having(CheckOutcome.FAILED) if (one.subject, one.metric) not in known)
    return tuple(
        f"little by little since {first.source}: {row.what.lower()} of {row.subject} {row.change}, where "
        f"{row.tolerated} is tolerated in one night"
        for row in check_rows(replace(since, checks=slow))
    )


def _failed(checked: Checked) -> Iterator[tuple[str, str]]:
    return ((one.subject, one.metric) for one in checked.having(CheckOutcome.FAILED))
