"""What a session of a study leaves."""

from __future__ import annotations

from dataclasses import dataclass

from ...profiles.errors import UserError
from ..job.places import Places
from ..record.evaluation import StudyRecord


@dataclass(frozen=True, kw_only=True)
class SessionEnd:
    """What a session left: the record, where it lies, and whether it was interrupted. `unchanged`: the study
    had ended before, so that nothing was measured. `gone`: why the study ended in its middle, which it did
    where its device went away."""

    record: StudyRecord
    places: Places
    interrupted: bool
    unchanged: bool = False
    gone: UserError | None = None

    @property
    def whole(self) -> bool:
        """Whether the study came to its end."""
        return not self.interrupted and self.gone is None
