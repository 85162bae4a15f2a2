"""One bad moment is no verdict: what something from outside ended is tried once more, in fresh processes, and
a device that does not answer is waited for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ....backends.runner.trouble import Trouble, UnreachableError
from ....profiles.errors import StageError
from ...store.trouble import removed
from .line import Line

T = TypeVar("T")
Maker = Callable[[Path], Mapping[str, Any]]

MOST_STARTS = 5
"""So often the start of a runner may meet a device that is away: that says nothing about a candidate, but has
to end one day."""


class Again:
    """Tries work again that something from outside ended.

    `line` waits for a device that is not this machine; `forget` drops what was connected to it, which a
    device that was started anew knows nothing of.
    """

    def __init__(self, line: Line, forget: Callable[[], None] = lambda: None) -> None:
        self._line, self._forget = line, forget

    def tried(self, work: Callable[[], T]) -> T:
        """What `work` gives, at the second try where the first was ended from outside. It starts its own
        processes. A crash of its own or a hang is not repeated: that is a finding about the candidate.

        Raises:
            StageError: it failed by itself, or was ended from outside both times (then `outside` is set).
            DeviceGoneError: the device does not answer any more.
        """
        ended = away = 0
        while True:
            try:
                return work()
            except UnreachableError as error:
                away += 1
                if error.trouble is Trouble.FULL or away == MOST_STARTS:
                    raise _not_started(error) from error
                self._wait(error)
            except StageError as error:
                ended += 1
                lost = self._line.silent(error) if error.silent else from_outside(error)
                if not lost or (ended == 2 and not error.device):
                    raise
                if ended == 2:
                    raise _twice(error) from error
                if error.device:
                    self._wait(error)

    def _wait(self, error: StageError | UnreachableError) -> None:
        self._forget()
        self._line.until_it_answers(error)

    def sturdy(self, make: Maker) -> Maker:
        """A maker of a store's entry that is tried again, in a directory as empty as at first."""

        def made(into: Path) -> Mapping[str, Any]:
            def from_scratch() -> Mapping[str, Any]:
                for left in into.iterdir():
                    removed(left)
                return make(into)

            return self.tried(from_scratch)

        return made


def from_outside(error: Exception | None) -> bool:
    """Whether an end has its cause outside of the candidate."""
    return isinstance(error, StageError) and error.outside


def _not_started(error: UnreachableError) -> StageError:
    return StageError("start", f"{error.problem} ({error.found})", outside=True, device=error.device)


def _twice(error: StageError) -> StageError:
    """Both ends came while the candidate was at work, the device answered in between."""
    cause = f"{error.cause.rstrip('.')} (so it ended twice, and {error.device} answered in between)"
    return StageError(error.stage, cause, error.log, outside=True, device=error.device)
