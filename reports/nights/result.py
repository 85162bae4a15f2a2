"""What a night leaves for whoever has called for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...profiles.errors import UserError
from ...profiles.files import write_whole
from ...search.nights.night import Night
from .shown import verdict_line
from .written import JSON, JUNIT, PAGE, SUMMARY


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


def check_places(*paths: Path | None) -> None:
    """Refuse, before the night, files that could not be written after it.

    Raises:
        UserError: one lies in a directory that is not there.
    """
    for path in paths:
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            raise UserError(
                "a file of the night cannot be written",
                place=str(path),
                found="a directory" if path.is_dir() else f"no directory {path.parent}",
                accepted="a file in a directory that is there",
            )


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
            except (OSError, KeyError) as error:
                raise UserError(
                    "a file of the night cannot be written",
                    place=str(path),
                    found=getattr(error, "strerror", None) or str(error),
                    accepted="a file in a directory that is there and can be written",
                ) from error
