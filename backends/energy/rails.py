"""Rails that a device measures each on its own: which of them is the whole, and sums that count nothing
twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...profiles.meters import MODULE, RAIL
from .meter import Meter, MeterError

WHOLES = ("VDD_IN", "POM_5V_IN", "VIN")
"""The inputs of Jetson modules: each contains all other rails of its board."""


_APART = "name rails of one kind in the profile that do not contain each other"


def scope_of(rail: str) -> str:
    """What a rail of a board covers, by its name."""
    return MODULE if rail in WHOLES else RAIL


def _contains(whole: str, part: str) -> bool:
    inside = whole.startswith("package") and part.partition(" x ")[0] in ("core", "uncore")
    return inside or whole.partition(" of ")[0] in (*WHOLES, "psys")


class SumOf(Meter):
    """Several rails of one kind, read one after the other and added up."""

    def __init__(self, meters: Sequence[Meter]) -> None:
        first = meters[0].facts
        self._meters = meters
        self.facts = replace(
            first,
            rail=" + ".join(meter.facts.rail for meter in meters),
            scope=RAIL,
            step=sum(meter.facts.step for meter in meters),
        )

    def read(self) -> float:
        """Joules or watts of all of them."""
        return sum(meter.read() for meter in self._meters)

    def close(self) -> None:
        """Close all of them."""
        for meter in self._meters:
            meter.close()


def summed(meters: Sequence[Meter]) -> Meter:
    """One meter of these.

    Raises:
        MeterError: they tell different things, or one contains another.
    """
    if len(meters) == 1:
        return meters[0]
    rails = [meter.facts.rail for meter in meters]
    if len(set(rails)) < len(rails):
        raise MeterError("a rail is named twice", "name each rail once")
    if len({(meter.facts.kind, meter.facts.counter) for meter in meters}) > 1:
        raise MeterError(f"{' and '.join(rails)} do not tell the same kind of figure", _APART)
    for whole in rails:
        for part in rails:
            if whole != part and _contains(whole, part):
                raise MeterError(f"{whole} contains {part}: added up, that would count twice", _APART)
    return SumOf(meters)
