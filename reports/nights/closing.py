"""After a night's work: it is kept, however little space there is, and what is too old goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...profiles.errors import ParetuneError
from ...profiles.files import says_full
from ...search.nights.history import NightHistory
from ...search.nights.night import Night, NightStatus
from ...search.nights.retention import runs_of, staying, thin
from ...search.retention.gc import KEEP_DAYS, store_gc
from .ends import ended_by
from .opening import in_a_row
from .result import NightResult
from .tonight import Tonight
from .written import PAGE, files_of


def kept(tonight: Tonight, seconds: float, keep: int, patience: int) -> NightResult:
    """Write the night, and let go of what is too old."""
    folder, history = tonight.folder, _that_stays(tonight, keep)
    night = in_a_row(replace(tonight.night, seconds=seconds), history, patience)
    if night.overdue:
        night = replace(night, headline=f"{night.headline}; {night.in_a_row} nights in a row had no answer")
    night, texts = _files(night, history, tonight.diff)
    into = _written(tonight, night, texts)
    if into is None and night.exit_code == 0:  # the next night will find none
        night = replace(night, status=NightStatus.FAILED, headline="the night could not be kept")
        texts = files_of(night, history, tonight.diff)
    if into is not None:
        folder.point_to(into / PAGE)
        folder.ended()
    let_go(tonight, keep)
    return NightResult(night=night, folder=into, texts=texts)


def _that_stays(tonight: Tonight, keep: int) -> NightHistory:
    """The history, without the pages that go when this night is kept."""
    history, numbers = tonight.history, (*tonight.folder.numbers(), tonight.night.number)
    return replace(history, pages=history.pages & staying(numbers, history, keep))


def _files(night: Night, history: NightHistory, diff: Sequence[str]) -> tuple[Night, dict[str, str]]:
    """The night's files; one whose files cannot be made is kept without."""
    try:
        return night, files_of(night, history, diff)
    except Exception as error:
        failed = ended_by(error, night, over=False)
        return replace(failed, headline=f"its files could not be made: {failed.headline}"), {}


def let_go(tonight: Tonight, keep: int, keep_days: float = KEEP_DAYS) -> int:
    """Remove what is too old of the nights, and of the store what no run needs; the bytes that were freed."""
    freed = thin(tonight.folder, tonight.folder.read(), keep)
    runs = runs_of(tonight.folder)
    if tonight.store is not None and runs:
        try:
            gone = store_gc(tonight.store, keep_days=keep_days, runs=runs)
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
