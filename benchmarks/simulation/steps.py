"""Work in simulated time, cut where time passes."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True, kw_only=True)
class Step:
    """It takes so many seconds, with a device of its own or without; or until what another makes is there,
    `after` that key."""

    seconds: float = 0.0
    on_device: bool = False
    after: str = ""


Made = TypeVar("Made")
Steps = Generator[Step, None, Made]
"""What follows a step is done when its time has passed."""


def at_once(steps: Steps[Made]) -> Made:
    """Do them all, one after the other, and wait for nothing."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        made: Made = end.value
        return made
