"""What was seen of a device while something was measured on it."""

from __future__ import annotations

from dataclasses import dataclass

FLAG, COUNT, CLOCK, REFERENCE = "flag", "count", "clock", "reference"
"""How a slowdown is known: the device says so, it counts such events, its clock fell and the reference took
longer, or nothing but the reference, which runs in every round, took longer."""


@dataclass(frozen=True, kw_only=True)
class Slowdown:
    """A device that was slowed down from a round on (1 is the first), up to `last_round` (None: to the end).

    `cause` names what slowed it down, as far as that is known. `slower` is the share by which the reference
    took longer in these rounds than in the others (None: all rounds, or there was no reference).
    """

    first_round: int
    known_by: str
    last_round: int | None = None
    cause: str = ""
    slower: float | None = None


@dataclass(frozen=True, kw_only=True)
class Watched:
    """Of so many `readings` before, between and after the rounds of a measurement, what they had in common:
    least and largest clock of the cores that were used and temperature of the hottest sensor, all that slowed
    the device down (None: nothing tells of it), and the share of a quota's periods that were cut short."""

    readings: int
    governor: str = ""
    power_mode: str = ""
    clock_mhz: tuple[float, float] | None = None
    temperature_c: tuple[float, float] | None = None
    slowed: tuple[str, ...] | None = None
    quota_cores: float | None = None
    quota_cut: float | None = None
    slowdown: Slowdown | None = None
