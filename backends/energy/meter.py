"""What a meter is: a counter of joules, or a power that is read again and again; and what it covers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol

from ...profiles.words import one_line

MOST_WATTS = 20_000.0
"""No device that is measured draws more: a reading above it is none."""


class MeterError(Exception):
    """A meter cannot be read, or tells what no meter can; `remedy` is what to do about it."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        self.reason, self.remedy = one_line(reason, 300), remedy
        super().__init__(self.reason)


@dataclass(frozen=True, kw_only=True)
class MeterFacts:
    """What is known of a meter before it is used.

    `rail` is what it measures, in its own words, `scope` one of `SCOPES`. `counter`: it counts joules, else
    it tells watts. `step` is the least difference that it tells, in joules or watts (0: not known), `every_s`
    how far apart two readings are at least, `window_s` how long a window has to be at least, and `settle_s`
    how long its readings still show what was before.
    """

    kind: str
    rail: str
    scope: str
    counter: bool
    every_s: float
    window_s: float
    settle_s: float = 0.2
    step: float = 0.0

    @property
    def title(self) -> str:
        """ "hwmon VDD_IN (module)"."""
        return f"{self.kind} {self.rail} ({self.scope})"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> MeterFacts:
        """What `to_json` made; what a later version adds is left out."""
        return cls(**{field.name: found[field.name] for field in fields(cls) if field.name in found})


class Meter(Protocol):
    """Something that is read. Every method may take long, and hang: whoever calls has a limit."""

    facts: MeterFacts

    def read(self) -> float:
        """Joules since an earlier moment, never fewer than before, or watts now.

        Raises:
            MeterError: it cannot be read, or tells what no meter can.
        """

    def close(self) -> None:
        """End what it has started; a second call does nothing."""
        return


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """A meter that is there and cannot be used, why, and what to do about it."""

    kind: str
    rail: str
    reason: str
    remedy: str = ""

    @property
    def text(self) -> str:
        """In a sentence's part."""
        return f"{self.kind} {self.rail}".strip() + f" cannot be read: {self.reason}"


def sound_watts(value: float, what: str) -> float:
    """A power that can be.

    Raises:
        MeterError: it cannot.
    """
    if 0 <= value <= MOST_WATTS:
        return value
    raise MeterError(f"{what} tells {value:.6g} W")


def whole_number(text: str, what: str) -> int:
    """A whole number as the kernel and tools write it.

    Raises:
        MeterError: it is none.
    """
    found = re.fullmatch(r"\s*(-?[0-9]{1,24})\s*", text)
    if found is None:
        raise MeterError(f"{what} holds {one_line(repr(text), 60)}, which is no whole number")
    return int(found[1])
