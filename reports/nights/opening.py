"""Before a night's work: which night it is, what became of the one before, and that no other is at work."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from ...profiles.words import counted
from ...search.nights.history import NightHistory, NightsFolder
from ...search.nights.night import WITHOUT_ANSWER, Night, NightStatus
from .result import NightResult
from .written import files_of

PATIENCE = 3
"""From so many nights in a row without an answer on, a person has to look."""


@dataclass(frozen=True)
class Beginning:
    """A night that is about to begin."""

    folder: NightsFolder
    history: NightHistory

    def night(self) -> Night:
        """It, with what is to be said of what lies there."""
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


def still_at_work(folder: NightsFolder) -> NightResult:
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


def recovered(folder: NightsFolder) -> NightHistory:
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
        night = in_a_row(night, folder.read())
        with suppress(OSError):
            folder.keep(night, files_of(night, folder.read()))
    folder.ended()
    return folder.read()


def in_a_row(night: Night, history: NightHistory, patience: int = PATIENCE) -> Night:
    """With the number of nights in a row that had no answer."""
    if night.status not in WITHOUT_ANSWER:
        return night
    before = history.last.in_a_row if history.last is not None else 0
    number = before + 1
    return replace(night, in_a_row=number, overdue=number >= patience and night.exit_code == 0)
