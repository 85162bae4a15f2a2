"""What a worker tells its driver while it works, and asks it; by events of the engine."""

from __future__ import annotations

import pickle
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from ..record.candidate import Candidate
from ..record.evaluation import Quantity
from ..record.progress import Progress
from ..record.protocols import Decision, Hardware, Milestone, Standard

Say = Callable[[Mapping[str, Any]], None]
ANSWER_S = 60.0
"""So long a worker waits for an answer; without one it goes on: what it trains is kept in any case."""
LEFT = "seconds left"
"""A question to the driver itself: see `Order`."""
_OFTEN_S = 0.5
_waiting: dict[str, tuple[threading.Event, list[bytes]]] = {}


def answered(question: str, answer: bytes) -> None:
    """Called in the worker's process: its driver answers."""
    known = _waiting.get(question)
    if known is not None:
        known[1].append(answer)
        known[0].set()


def asked(say: Say, otherwise: Any, what: str, *given: Any) -> Any:
    """What the driver answers; `otherwise` where it does not."""
    question, event, answers = uuid.uuid4().hex, threading.Event(), list[bytes]()
    _waiting[question] = event, answers
    try:
        say({"question": question, "asked": pickle.dumps((what, given))})
        event.wait(ANSWER_S)
        # It comes from the driver, whose tasks this process runs anyhow.
        return pickle.loads(answers[0]) if answers else otherwise  # noqa: S301
    finally:
        del _waiting[question]


class AskedJudge:
    """The driver's `Judge`, asked from afar."""

    def __init__(self, say: Say, standard: Standard) -> None:
        self._say, self.standard = say, standard

    @property
    def measures_first(self) -> bool:
        """See `Judge`."""
        return bool(self._asked(True, "measures_first"))

    def before_tuning(self, candidate: Candidate) -> Decision | None:
        """See `Judge`."""
        found: Decision | None = self._asked(None, "before_tuning", candidate)
        return found

    def before_training(self, candidate: Candidate, hardware: Hardware) -> Decision | None:
        """See `Judge`."""
        found: Decision | None = self._asked(None, "before_training", candidate, hardware)
        return found

    def at_milestone(self, candidate: Candidate, milestone: Milestone) -> Decision | None:
        """See `Judge`."""
        found: Decision | None = self._asked(None, "at_milestone", candidate, milestone)
        return found

    def worth_climbing(
        self, candidate: Candidate, metrics: Mapping[str, Quantity], best_quality: float
    ) -> bool:
        """See `Judge`."""
        return bool(self._asked(True, "worth_climbing", candidate, dict(metrics), best_quality))

    def _asked(self, otherwise: Any, what: str, *given: Any) -> Any:
        return asked(self._say, otherwise, what, *given)


class ToldProgress(Progress):
    """Tells the driver which stage a worker is at, and not more than twice a second how far that is."""

    def __init__(self, say: Say) -> None:
        self._say, self._told, self._at = say, 0.0, ""
        self.quiet = True
        """Nothing is told while a worker makes itself ready: its driver has said the same already."""

    def note(self, text: str) -> None:
        """See `Progress`."""
        if not self.quiet:
            self._say({"note": text})

    def stage(self, name: str) -> None:
        """See `Progress`."""
        now, at = time.monotonic(), name.partition(":")[0]
        if at != self._at or now - self._told >= _OFTEN_S:
            self._told, self._at = now, at
            self._say({"stage": name})
