"""What a search tells whoever watches it. Every method may be left as it is."""

from __future__ import annotations

from collections.abc import Collection

from .candidate import Candidate
from .evaluation import TrialRecord


class Progress:
    """Receives events; the default ignores them. Methods are called from the driver's thread."""

    def note(self, text: str) -> None:
        """Something worth one line."""

    def started(self, number: int, candidate: Candidate) -> None:
        """A trial starts."""

    def stage(self, name: str) -> None:
        """A stage starts, or an epoch of it ended (a stage answered from the store is not announced)."""

    def at_work(self, worker: str, trial: int | None, stage: str) -> None:
        """What one of several workers is doing, for which trial (None, or below 0: for none); an empty stage
        says that it is idle."""

    def workers(self, names: Collection[str]) -> None:
        """The workers that are there now, by name; told whenever that changes."""

    def finished(self, record: TrialRecord) -> None:
        """A trial has ended, with any outcome."""

    def budget(self, evaluated: int, trials: int | None, elapsed: float, seconds: float | None) -> None:
        """How much of the budget is used."""
