"""Progress of what is done to a board, on a terminal or in a log."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from ...profiles.words import printable


class ConsoleSteps:
    """Writes to stderr, so that stdout holds the answer alone. In a log each stage is a line."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._status = console.status("starting")
        self._stage = ""

    def __enter__(self) -> ConsoleSteps:
        if self.console.is_terminal:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._status.stop()

    def note(self, text: str) -> None:
        """A line that stays."""
        self.console.print(Text(f"  {text}", style="dim"), soft_wrap=True)

    def stage(self, text: str) -> None:
        """What is at hand, until the next one."""
        if text == self._stage:
            return
        self._stage = text
        if self.console.is_terminal:
            self._show("")
        else:
            self.note(text)

    def detail(self, text: str) -> None:
        """How far the stage at hand is: seen on a terminal alone."""
        self._show(f", {text}")

    def _show(self, besides: str) -> None:
        self._status.update(Text(printable(self._stage + besides)))
