"""One bad moment is no verdict: what something from outside ended is tried once more, in fresh processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ....profiles.errors import StageError
from ...store.trouble import removed

T = TypeVar("T")
Maker = Callable[[Path], Mapping[str, Any]]


def tried_again(work: Callable[[], T]) -> T:
    """What `work` gives, at the second try where the first was ended from outside. It starts its own
    processes. A crash of its own or a hang is not repeated: that is a finding about the candidate.

    Raises:
        StageError: it failed by itself, or was ended from outside both times (then `outside` is set).
    """
    try:
        return work()
    except StageError as error:
        if not from_outside(error):
            raise
    return work()


def from_outside(error: Exception | None) -> bool:
    """Whether an end has its cause outside of the candidate."""
    return isinstance(error, StageError) and error.outside


def sturdy(make: Maker) -> Maker:
    """A maker of a store's entry that is tried again, in a directory as empty as at first."""

    def made(into: Path) -> Mapping[str, Any]:
        def from_scratch() -> Mapping[str, Any]:
            for left in into.iterdir():
                removed(left)
            return make(into)

        return tried_again(from_scratch)

    return made
