"""The project's errors: one base class, what the user can mend apart from what we broke."""

from __future__ import annotations

import copyreg
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .passwords import without_passwords


class ParetuneError(Exception):
    """Base class of every error that Paretune raises on purpose."""

    def __reduce__(self) -> tuple[Any, ...]:
        """As it is, and not made anew of its message alone: errors go from one process to another."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class UserError(ParetuneError):
    """Something that the user can mend: a file, an option, a missing package, an impossible wish.

    The message is built from its parts, so that every one of them says what was wrong, where, what was
    found, what would be accepted and what to do next. Parts that are empty are left out, and passwords are
    hidden: what is found may be the URL of a database.
    """

    def __init__(
        self, problem: str, *, place: str = "", found: str = "", accepted: str = "", remedy: str = ""
    ) -> None:
        problem, place, found = map(without_passwords, (problem, place, found))
        self.problem, self.place, self.found = problem, place, found
        self.accepted, self.remedy = accepted, remedy
        head = f"{place}: {problem}" if place else problem
        parts = [("found", found), ("accepted", accepted), ("what to do", remedy)]
        ParetuneError.__init__(
            self, "\n".join([head, *(f"  {label}: {text}" for label, text in parts if text)])
        )

    def _render_traceback_(self) -> list[str]:
        """What IPython shows of it: the message alone, since the way to it mends nothing."""
        return [f"{type(self).__name__}: {self}"]

    def placed(self, place: str) -> UserError:
        """The same error with another place."""
        return UserError(
            self.problem, place=place, found=self.found, accepted=self.accepted, remedy=self.remedy
        )


@contextmanager
def at_place(place: str) -> Iterator[None]:
    """What is refused inside, without a place of its own, is so at this one."""
    try:
        yield
    except UserError as error:
        if error.place:
            raise
        raise error.placed(place) from error.__cause__


class UnsupportedError(ParetuneError):
    """A combination that cannot exist (this operator, precision or format on this runtime or device).

    The driver turns it into the outcome `refused`; `reason` is shown to the user as it is.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class StageError(ParetuneError):
    """One stage of one candidate failed. The driver turns it into the outcome `failed`.

    `cause` is one short line ("killed by signal 11 (segmentation fault)"), `log` the last output of the
    process that ran the stage. `disagrees`: the artifact runs, but not as its float model does. `outside`:
    the cause lay outside of the candidate (its process was killed, the machine had no memory left), so that
    another try may well succeed. `silent`: nothing came within the time that there was, be it that the stage
    hangs, or the line to it. `device`: where it ran, where that was another machine (of which its words are).
    """

    def __init__(
        self,
        stage: str,
        cause: str,
        log: str = "",
        *,
        disagrees: bool = False,
        outside: bool = False,
        silent: bool = False,
        device: str = "",
    ) -> None:
        self.stage, self.cause, self.log = stage, cause, log
        self.disagrees, self.outside = disagrees, outside
        self.silent, self.device = silent, device
        super().__init__(f"{stage}: {cause}")


class InternalError(ParetuneError):
    """An invariant of ours is broken. Ends the study: going on would record falsehoods."""
