"""`paretune nightly`: one unattended night, from what last night left to what the next one finds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from ...profiles.errors import ParetuneError, UserError, at_place
from ...profiles.files import is_file, says_full, write_whole
from ...profiles.standard_descriptors import open_standard_descriptors
from ...profiles.text.units import parse_duration_s
from ...profiles.words import counted
from ...search.nights.history import NightHistory, NightsFolder
from ...search.nights.night import WITHOUT_ANSWER, Night, NightStatus
from ...search.nights.retention import runs_of, thin
from ...search.record.progress import Progress
from ...search.retention.gc import KEEP_DAYS, store_gc
from ...search.run.budget import StopFlag
from .box import TimeBox
from .ends import ended_by
from .shown import verdict_line
from .tonight import NightAsked, Tonight
from .written import JSON, JUNIT, PAGE, SUMMARY, files_of

WITHIN = "20 h"
"""The hard end of a night that is told none: before the next one begins."""
KEEP = 14
LEAST_KEPT, LEAST_FREED = 2, 2**22
"""On a full disk: nights that are kept whole, and the bytes that are worth another try."""
PATIENCE = 3


@dataclass(frozen=True, kw_only=True)
class NightResult:
    """A night that has ended. `folder` has what was written of it (None: nothing was, since another
    night is at work or the disk is full), `texts` the same files by their names."""

    night: Night
    folder: Path | None
    texts: dict[str, str]

    @property
    def exit_code(self) -> int:
        """As that of `paretune nightly`."""
        return self.night.exit_code

    @property
    def lines(self) -> tuple[str, ...]:
        """What a terminal is told: where it stands, and the verdict last."""
        page = () if self.folder is None else (f"page: {self.folder / PAGE}",)
        changed = tuple(f"changed: {line}" for line in self.night.changes)
        reason = (self.night.reason,) if self.night.reason else ()
        return (*page, *changed, *reason, verdict_line(self.night))


def written_elsewhere(
    done: NightResult, *, json: Path | None = None, junit: Path | None = None, summary: Path | None = None
) -> None:
    """Write files of a night to other places as well.

    Raises:
        UserError: one of them cannot be written.
    """
    for path, name in ((json, JSON), (junit, JUNIT), (summary, SUMMARY)):
        if path is not None:
            try:
                write_whole(path, done.texts[name])
            except OSError as error:
                raise UserError(
                    "a file of the night cannot be written",
                    place=str(path),
                    found=error.strerror or str(error),
                    accepted="a file in a directory that is there and can be written",
                ) from error


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
        within=within_s,
        accept=accept,
    )
    with TimeBox(within_s, stop) as box, folder.at_work(wait_s, _waits(progress, stop)) as free:
        if not free:
            return _still_at_work(folder)
        began = time.monotonic()
        history = _recovered(folder)
        night = _Beginning(folder, history, patience).night()
        folder.begin(night.number, night.began)
        tonight = Tonight(asked, folder, history, night, progress, stop)
        _work(tonight, box, keep)
        return _kept(tonight, time.monotonic() - began, keep, patience)


def _work(tonight: Tonight, box: TimeBox, keep: int) -> None:
    """The night's work, once more where a full disk has ended it and there is space now."""
    for turn in (1, 2):
        try:
            tonight.work()
            return
        except (Exception, KeyboardInterrupt) as error:
            full = turn == 1 and says_full(error) and not tonight.stop.requested
            if not (full and _let_go(tonight, min(keep, LEAST_KEPT), keep_days=0.0) >= LEAST_FREED):
                tonight.night = ended_by(error, tonight.night, over=box.over)
                return
            tonight.progress.note("the disk was full: it is tried once more")


def _seconds(time: str | float, place: str) -> float:
    with at_place(place):
        return parse_duration_s(time) if isinstance(time, str) else time


@dataclass(frozen=True)
class _Beginning:
    folder: NightsFolder
    history: NightHistory
    patience: int

    def night(self) -> Night:
        numbers = self.folder.numbers()
        return Night(
            number=(numbers[-1] if numbers else 0) + 1,
            status=NightStatus.FAILED,
            headline="",
            began=_now(),
            remarks=tuple(self._remarks()),
        )

    def _remarks(self) -> list[str]:
        last, found = self.history.last, []
        if self.history.damaged:
            found.append(f"the records of {_nights(self.history.damaged)} cannot be read, and are left out")
        if last is not None and last.began > _now():
            found.append(
                f"the clock says {_now()}, and said {last.began} when night {last.number} began: it was set. "
                "Nights are ordered by their numbers"
            )
        return found


def _nights(numbers: Sequence[int]) -> str:
    return f"{counted(len(numbers), 'night')} ({', '.join(map(str, numbers))})"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _waits(progress: Progress, stop: StopFlag) -> Callable[[], None]:
    def shown() -> None:
        if stop.requested:
            raise KeyboardInterrupt
        progress.stage("waiting for a night that is still at work")

    return shown


def _still_at_work(folder: NightsFolder) -> NightResult:
    """Never two: this night ends at once, and leaves no trace beside what it was asked to write."""
    other = folder.under_way
    who = (
        f"night {other.number}, process {other.pid}, which began {other.began}" if other else "another night"
    )
    night = Night(
        number=other.number if other else 0,
        status=NightStatus.SKIPPED,
        headline="another night is still at work",
        reason=f"{who} is still at work in {folder.path}: it has the answer of this night too",
    )
    return NightResult(night=night, folder=None, texts=files_of(night, NightHistory()))


def _recovered(folder: NightsFolder) -> NightHistory:
    """All nights, with one that was killed entered as such."""
    other = folder.under_way
    if other is not None and other.number not in folder.numbers():
        night = Night(
            number=other.number,
            status=NightStatus.KILLED,
            headline="it ended without a word",
            reason="its process was killed, or the power failed: what it had finished was kept",
            began=other.began,
        )
        night = _counted(night, folder.read())
        with suppress(OSError):
            folder.keep(night, files_of(night, folder.read()))
    folder.ended()
    return folder.read()


def _counted(night: Night, history: NightHistory, patience: int = PATIENCE) -> Night:
    """With the number of nights in a row that had no answer."""
    if night.status not in WITHOUT_ANSWER:
        return night
    before = history.last.in_a_row if history.last is not None else 0
    in_a_row = before + 1
    return replace(night, in_a_row=in_a_row, overdue=in_a_row >= patience and night.exit_code == 0)


def _kept(tonight: Tonight, seconds: float, keep: int, patience: int) -> NightResult:
    """Write the night, and let go of what is too old."""
    folder, history = tonight.folder, tonight.history
    night = _counted(replace(tonight.night, seconds=seconds), history, patience)
    if night.overdue:
        night = replace(night, headline=f"{night.headline}; {night.in_a_row} nights in a row had no answer")
    texts = files_of(night, history, tonight.diff)
    into = _written(tonight, night, texts)
    if into is None and night.exit_code == 0:  # the next night will find none
        night = replace(night, status=NightStatus.FAILED, headline="the night could not be kept")
        texts = files_of(night, history, tonight.diff)
    if into is not None:
        folder.point_to(into / PAGE)
        folder.ended()
    _let_go(tonight, keep)
    return NightResult(night=night, folder=into, texts=texts)


def _let_go(tonight: Tonight, keep: int, keep_days: float = KEEP_DAYS) -> int:
    """Remove what is too old of the nights, and of the store what no run needs; the bytes that were freed."""
    freed = thin(tonight.folder, tonight.folder.read(), keep)
    if tonight.store is not None:
        try:
            gone = store_gc(tonight.store, keep_days=keep_days, runs=runs_of(tonight.folder))
            freed += sum(amount.size_bytes for amount in gone.freed.values())
        except ParetuneError as error:  # another one is at it, or it cannot be read: a later night does it
            tonight.progress.note(f"nothing was removed from the store: {error}")
    if freed:
        tonight.progress.note(f"{freed / 2**20:.1f} MiB of what no night needs any more were freed")
    return freed


def _written(tonight: Tonight, night: Night, texts: dict[str, str]) -> Path | None:
    """The night's folder; on a full disk less and less of it."""
    folder, short = tonight.folder, {name: text for name, text in texts.items() if name != PAGE}
    tries: tuple[tuple[dict[str, str], Path | None], ...] = (
        (texts | tonight.kept, tonight.bundle),
        (texts, None),
        (short, None),
        ({}, None),
    )
    for files, bundle in tries:
        try:
            return folder.keep(night, files, bundle)
        except OSError as error:
            if not says_full(error):
                tonight.progress.note(f"the night could not be kept: {error}")
                return None
            folder.give_space()
    tonight.progress.note(f"the disk is full: night {night.number} could not be kept")
    return None
