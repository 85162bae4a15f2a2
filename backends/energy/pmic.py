"""A Raspberry Pi 5's power management chip: voltage and current of each rail, by the firmware's tool."""

from __future__ import annotations

import re

from ...profiles.meters import MODULE, PMIC, WINDOW_S
from ..watch.tools import place_of
from .meter import Meter, MeterError, MeterFacts, Unreadable, sound_watts
from .programs import printed

KIND, PROGRAM = PMIC, "vcgencmd"
RAIL = "sum of rails"
_LINE = re.compile(
    r"\s*(\w{1,40})_([AV])\s+(?:current|volt)\(\d{1,3}\)=([0-9]{1,9}(?:\.[0-9]{1,12})?)[AV]\s*"
)
_FEWEST = 3
_FACTS = MeterFacts(
    kind=KIND, rail=RAIL, scope=MODULE, counter=False, every_s=0.1, window_s=WINDOW_S[KIND], settle_s=0.3
)


class Pmic(Meter):
    """The sum over all rails of which both are told: without what hangs on 5 V."""

    def __init__(self, program: str) -> None:
        self.facts, self._command = _FACTS, (program, "pmic_read_adc")

    def read(self) -> float:
        """Watts now."""
        return sound_watts(watts_of(printed(self._command)), RAIL)


def watts_of(told: str) -> float:
    """The sum over rails that have a current and a voltage.

    Raises:
        MeterError: there are none; shows what was told in their place.
    """
    figures: dict[str, dict[str, float]] = {"A": {}, "V": {}}
    for line in told.splitlines():
        if found := _LINE.fullmatch(line):
            rail, which, value = found.groups()
            if rail in figures[which]:
                raise MeterError(f"{PROGRAM} tells {rail}_{which} twice")
            figures[which][rail] = float(value)
    both = figures["A"].keys() & figures["V"].keys()
    if len(both) < _FEWEST:
        first = next((line for line in told.splitlines() if line.strip()), "nothing")
        raise MeterError(f"{PROGRAM} pmic_read_adc tells no rails but {first!r}")
    return sum(figures["A"][rail] * figures["V"][rail] for rail in sorted(both))


def found(program: str = PROGRAM) -> tuple[list[Meter], list[Unreadable]]:
    """The meter, where the tool is there. Boards before the Pi 5 have no such readings."""
    place = place_of(program)
    if place is None:
        return [], []
    meter = Pmic(place)
    try:
        meter.read()
    except MeterError as error:
        remedy = "only a Raspberry Pi 5 has them; the user has to be in the group `video`"
        return [], [Unreadable(kind=KIND, rail=RAIL, reason=error.reason, remedy=remedy)]
    return [meter], []
