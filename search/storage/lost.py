"""A database server that is lost in the middle of a study: how that is noticed, and waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

from ...profiles.words import duration

_PAUSE_S, _LONGEST_PAUSE_S, _LONGEST_BETWEEN_S = 0.1, 1.0, 30.0
_TOLD_EVERY_S = 10.0


class ServerLostError(Exception):
    """The line to the database server is gone, or none is to be had. What became of the transaction that was
    open is not known."""


def tell_losses(engine: Engine) -> None:
    """Have whatever is asked of an engine raise `ServerLostError` where its line is lost."""
    event.listen(engine, "handle_error", _lost)


def _lost(context: ExceptionContext) -> ServerLostError | None:
    # Where a line that waited for its use is found dead, the pool makes another one.
    gone = not context.is_pre_ping and (context.is_disconnect or context.connection is None)
    return ServerLostError(str(context.original_exception)) if gone else None


def _nobody(text: str) -> None:
    """Nobody is told."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """For how many `seconds` a server is waited for that went away, and who is told of it: `note` what stays,
    `stage` what is so now. `asked`: how often a stop was asked for; once more ends the waiting."""

    seconds: float = 600.0
    note: Callable[[str], None] = _nobody
    stage: Callable[[str], None] = _nobody
    asked: Callable[[], int] = int


class Waiting:
    """The wait of one operation from its first loss until it is done, try by try. The first try comes at
    once, and without a word: a line is cut easily. Where the server answers and is lost again, what it is
    asked may be what ends it: tries become ever rarer."""

    def __init__(self, patience: Patience) -> None:
        self._patience, self._between = patience, 0.0
        self._began, self._asked, self._tries, self._told = 0.0, 0, 0, 0.0

    @property
    def seconds(self) -> float:
        """How long it is by now."""
        return time.monotonic() - self._began

    @property
    def _goes_on(self) -> bool:
        return self.seconds < self._patience.seconds and self._patience.asked() == self._asked

    def again(self) -> bool:
        """Whether there is another try; it is time for it where this returns."""
        self._tries += 1
        if self._tries == 1:
            self._began, self._asked = time.monotonic(), self._patience.asked()
            return True
        if self._tries == 2:
            how = "answers, and is lost again at the same request" if self._between else "does not answer"
            self._patience.note(
                f"the study's database {how}: it is waited for, {duration(self._patience.seconds)} at most; "
                "Ctrl-C ends the study as it is"
            )
        if self.seconds - self._told >= _TOLD_EVERY_S:
            self._told = self.seconds
            self._patience.stage(f"waiting for the study's database, for {duration(round(self._told))} now")
        until = time.monotonic() + min(_PAUSE_S * self._tries, _LONGEST_PAUSE_S) + self._between
        while self._goes_on and time.monotonic() < until:
            time.sleep(_PAUSE_S)
        return self._goes_on

    def answered(self) -> None:
        """The server answers; whether it does until the operation is done is to be seen."""
        self._between = min(2 * self._between, _LONGEST_BETWEEN_S) if self._between else _LONGEST_PAUSE_S

    def over(self) -> None:
        """The operation is done."""
        if self._tries > 1:
            self._patience.note(f"the study's database answers again, after {duration(self.seconds)}")
