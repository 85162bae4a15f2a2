"""What somebody who waits for a board is shown."""

from __future__ import annotations

from typing import Protocol


class Steps(Protocol):
    """Where it stands. Nothing here may fail."""

    def stage(self, text: str) -> None:
        """What is at hand, until the next one."""

    def note(self, text: str) -> None:
        """A line that stays."""

    def detail(self, text: str) -> None:
        """How far the stage at hand is: seen on a terminal alone."""
