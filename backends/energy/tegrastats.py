"""Rails of Jetson boards as `tegrastats` writes them, a line every tenth of a second."""

from __future__ import annotations

import re

from ...profiles.meters import TEGRASTATS, WINDOW_S
from ..watch.tools import place_of
from .meter import Meter, MeterError, MeterFacts, Unreadable, sound_watts
from .programs import Lines
from .rails import scope_of

KIND, PROGRAM = TEGRASTATS, TEGRASTATS
EVERY_S, FIRST_S, LATE_S = 0.1, 5.0, 3.0
# `VDD_IN 4521mW/4498mW`, and on older boards `POM_5V_IN 4072/4072`: now, and the mean since the start.
_RAIL = re.compile(r"(?<!\S)([A-Z][A-Z0-9_]{1,40}) ([0-9]{1,9})(?:mW)?/([0-9]{1,9})(?:mW)?(?!\S)")


def rails_in(line: str) -> dict[str, float]:
    """Watts now, by rail."""
    return {rail: int(now) / 1000 for rail, now, _ in _RAIL.findall(line)}


class TegrastatsStream:
    """The tool at work for all rails that are read of it; started when it is first asked."""

    def __init__(self, program: str) -> None:
        self._command = (program, "--interval", str(round(EVERY_S * 1000)))
        self._lines: Lines | None = None
        self._latest: dict[str, float] = {}

    def after(self, number: int) -> tuple[int, dict[str, float]]:
        """The first line after that of a number, waited for where it has not come yet."""
        if self._lines is None:
            self._lines = Lines(self._command)
        while self._lines.number <= number:
            self._latest = rails_in(self._lines.line(LATE_S if self._lines.number else FIRST_S))
        return self._lines.number, self._latest

    def close(self) -> None:
        """End the tool; it is started anew when it is asked again."""
        if self._lines is not None:
            self._lines.close()
        self._lines = None


class TegrastatsRail(Meter):
    """One rail."""

    def __init__(self, stream: TegrastatsStream, rail: str) -> None:
        self._stream, self._seen = stream, 0
        self.facts = MeterFacts(
            kind=KIND,
            rail=rail,
            scope=scope_of(rail),
            counter=False,
            every_s=EVERY_S,
            window_s=WINDOW_S[KIND],
            settle_s=0.3,
            step=1e-3,
        )

    def read(self) -> float:
        """Watts in the next line."""
        self._seen, told = self._stream.after(self._seen)
        rail = self.facts.rail
        if rail not in told:
            raise MeterError(f"{PROGRAM} does not tell {rail} any more, but {', '.join(told) or 'no rail'}")
        return sound_watts(told[rail], rail)

    def close(self) -> None:
        """End the tool for all rails of it."""
        self._seen = 0
        self._stream.close()


def found(program: str = PROGRAM) -> tuple[list[Meter], list[Unreadable]]:
    """A meter for each rail that the tool tells."""
    place = place_of(program)
    if place is None:
        return [], []
    stream = TegrastatsStream(place)
    try:
        _, told = stream.after(0)
        if not told:
            raise MeterError(f"{PROGRAM} tells no rail")
    except MeterError as error:
        remedy = "some boards tell rails to root alone: `sudo tegrastats`"
        return [], [Unreadable(kind=KIND, rail="", reason=error.reason, remedy=remedy)]
    finally:
        stream.close()
    return [TegrastatsRail(stream, rail) for rail in told], []
