"""The meter that a study takes, and how it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from .discover import MetersFound, MeterWish, chosen
from .meter import MeterFacts
from .windows import FEWEST_WINDOWS, FINALIST_WINDOWS, MOST_WINDOW_S, longest_s, usual_s

SOON_WINDOW_S = 10.0
QUICK_S = 6.0
"""Seconds that it may take of a finalist where nobody asks for it."""


@dataclass(frozen=True, kw_only=True)
class ChosenMeter:
    """One meter of a device. `named`: the profile does; `least_s` is what it says of windows."""

    facts: MeterFacts
    wish: MeterWish
    named: bool = False
    least_s: float = 0.0

    @classmethod
    def of(
        cls, found: MetersFound, wish: MeterWish, *, gpu: bool, named: bool, least_s: float = 0.0
    ) -> ChosenMeter:
        """The one of those that were found.

        Raises:
            MeterError: there is none such.
        """
        facts = chosen(found, wish, gpu=gpu)
        rails = wish.rails or (facts.rail,)
        return cls(
            facts=facts,
            wish=replace(wish, kind=facts.kind, rails=rails),
            named=named,
            least_s=least_s,
        )

    def asked(self, *, wanted: bool, run_s: float = 0.0) -> bool:
        """Whether finalists are measured: where that is `wanted`, the profile names it, or it is quick."""
        return wanted or self.named or self.usual_s(FEWEST_WINDOWS, run_s) <= QUICK_S

    def windows_for(self, *, wanted: bool, thorough: bool) -> int:
        """How many windows at work a candidate has, `thorough` a finalist."""
        return FINALIST_WINDOWS if thorough and (wanted or self.named) else FEWEST_WINDOWS

    def body(self, windows: int) -> Mapping[str, Any]:
        """What a runner is asked for so many windows at work. What the search waits for has no long ones."""
        most_s = max(
            self.facts.window_s, self.least_s, MOST_WINDOW_S if windows > FEWEST_WINDOWS else SOON_WINDOW_S
        )
        told = {"wish": asdict(self.wish), "rails": list(self.wish.rails), "windows": windows}
        return {**told, "least_s": self.least_s, "most_s": most_s}

    def longest_s(self, windows: int, run_s: float) -> float:
        """Seconds after which the answer has come by itself."""
        return longest_s(self.facts, windows, run_s, self.least_s, float(self.body(windows)["most_s"]))

    def usual_s(self, windows: int, run_s: float = 0.0) -> float:
        """Seconds that the answer takes where the meter tells enough."""
        return usual_s(self.facts, windows, run_s, self.least_s)
