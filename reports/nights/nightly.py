"""`paretune nightly`: one unattended night, from what last night left to what the next one finds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ...profiles.errors import UserError, at_place
from ...profiles.files import is_file, says_full, takes_more
from ...profiles.standard_descriptors import open_standard_descriptors
from ...profiles.text.units import parse_duration_s
from ...search.driver.budget import StopFlag
from ...search.nights.history import NightsFolder
from ...search.record.progress import Progress
from ...search.record.stops import Interrupted
from .box import TimeBox
from .closing import kept, let_go
from .ends import ended_by
from .opening import PATIENCE, Beginning, recovered, still_at_work
from .result import NightResult
from .tonight import NightAsked, Tonight

WITHIN = "20 h"
"""The hard end of a night that is told none: before the next one begins."""
KEEP = 14
LEAST_KEPT, LEAST_FREED = 2, 2**22
"""On a full disk: nights that are kept whole, and the bytes that are worth another try."""


def nightly(
    study: Path,
    *,
    into: Path | None = None,
    deployed: Path | None = None,
    against: str = "good",
    tolerate: Sequence[str] = (),
    within: str | float = WITHIN,
    wait: str | float = "0 s",
    keep: int = KEEP,
    patience: int = PATIENCE,
    accept: bool = False,
    progress: Progress | None = None,
    stop: StopFlag | None = None,
) -> NightResult:
    """Run or resume a study within a time ("4 h", or seconds), check what is `deployed` (a bundle; else that
    of the last good night) and what was found `against` an earlier night, and keep it all in the folder
    `into`.

    `against` is "good" (the last good night), "last", the number of a night, or the path of a run or bundle;
    `tolerate` says how much worse a metric may be ("latency 3 %"). `wait`: so long for another night that is
    still at work. The last `keep` nights are kept whole. From the `patience`-th night in a row without an
    answer on, a person has to look. `accept`: a regression of this night is meant, and later nights are
    compared with it.

    Raises:
        UserError: there is no such study file, or the folder cannot be written. Everything else ends the
            night, and stands in it.
    """
    open_standard_descriptors()
    if not is_file(study):
        raise UserError("no such study file", place=str(study), remedy="`paretune init` writes one")
    folder = NightsFolder(into or study.resolve().parent / "nights" / study.stem)
    stop, progress = stop or StopFlag(), progress or Progress()
    within_s, wait_s = _seconds(within, "--within"), _seconds(wait, "--wait")
    asked = NightAsked(
        study=study,
        deployed=deployed,
        against=against,
        tolerate=tuple(tolerate),
        end=time.monotonic() + within_s,
        accept=accept,
    )
    with TimeBox(within_s, stop) as box, folder.at_work(wait_s, _waits(progress, stop)) as free:
        if not free:
            return still_at_work(folder)
        began = time.monotonic()
        history = recovered(folder)
        night = Beginning(folder, history).night()
        folder.begin(night.number, night.began)
        tonight = Tonight(asked, folder, history, night, progress, stop)
        _work(tonight, box, keep)
        return kept(tonight, time.monotonic() - began, keep, patience)


def _work(tonight: Tonight, box: TimeBox, keep: int) -> None:
    """The night's work, once more where a full disk has ended it and there is space now."""
    for turn in (1, 2):
        try:
            tonight.work()
            return
        except (Exception, KeyboardInterrupt) as raised:
            error: BaseException = raised
            if isinstance(raised, Interrupted):  # before the search itself
                stopped = tonight.stop.requested
                error = KeyboardInterrupt() if stopped else UserError(raised.why, place="budget.time")
            full = isinstance(error, Exception) and _is_full(error, tonight.folder)
            again = full and turn == 1 and not tonight.stop.requested
            if not (again and let_go(tonight, min(keep, LEAST_KEPT), keep_days=0.0) >= LEAST_FREED):
                tonight.night = ended_by(error, tonight.night, over=box.over, full=full)
                return
            tonight.progress.note("the disk was full: it is tried once more")


def _is_full(error: Exception, folder: NightsFolder) -> bool:
    """Whether a full disk, a quota or a limit on files is behind an error; not all libraries say so."""
    return says_full(error) or not takes_more(folder.path)


def _seconds(time: str | float, place: str) -> float:
    with at_place(place):
        return parse_duration_s(time) if isinstance(time, str) else time


def _waits(progress: Progress, stop: StopFlag) -> Callable[[], None]:
    def shown() -> None:
        if stop.requested:
            raise KeyboardInterrupt
        progress.stage("waiting for a night that is still at work")

    return shown
