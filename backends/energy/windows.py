"""One inference in a loop while a meter is read, between windows in which nothing runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

from ...profiles.meters import READINGS
from .meter import MeterError, MeterFacts
from .sampling import MeterReader

MOST_WINDOW_S = 30.0
"""A window is made longer up to this, where a meter is slow or coarse."""
FEWEST_WINDOWS, FINALIST_WINDOWS = 3, 6
"""At work, while a study searches, and of a finalist."""
_STEPS = 100
"""Of a counter, in what is above idle."""
_OF_A_COUNTER = 20

Inference = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class MeterWindow:
    """What the meter told in so many seconds, in which so many inferences ran (0: nothing did)."""

    seconds: float
    joules: float
    runs: int
    readings: int

    @property
    def watts(self) -> float:
        """The mean."""
        return self.joules / self.seconds


@dataclass(frozen=True, kw_only=True)
class MeterWindows:
    """MeterWindows in turn: idle, at work, idle, at work, ..., idle."""

    turns: tuple[MeterWindow, ...]

    @property
    def idle(self) -> tuple[MeterWindow, ...]:
        """Those in which nothing ran: one more than the others."""
        return self.turns[::2]

    @property
    def work(self) -> tuple[MeterWindow, ...]:
        """Those in which inferences ran."""
        return self.turns[1::2]

    def to_json(self) -> list[dict[str, Any]]:
        """Plain values."""
        return [asdict(window) for window in self.turns]


FIELDS = tuple(field.name for field in fields(MeterWindow))


def measured(
    sampler: MeterReader,
    inference: Inference,
    count: int,
    *,
    least_s: float = 0.0,
    most_s: float = MOST_WINDOW_S,
) -> MeterWindows:
    """So many windows at work, each between two idle ones, of at least `least_s` seconds. They are longer, up
    to `most_s`, where the first two show that the meter tells too little in them.

    Raises:
        MeterError: the meter cannot be read, tells the same whatever runs, or too little in the longest
            window.
    """
    facts = sampler.facts
    length = max(facts.window_s, least_s)
    first = _pair(sampler, inference, length)
    needed = _needed(facts, *first)
    if needed > length:
        length = max(length, min(most_s, 1.25 * needed))
        first = _pair(sampler, inference, length)
        if _needed(facts, *first) > 1.25 * first[1].seconds:
            raise MeterError(_too_little(facts, *first))
    turns = [*first, _window(sampler, None, length)]
    while len(turns) < 2 * count + 1:
        turns += [_window(sampler, inference, length), _window(sampler, None, length)]
    return MeterWindows(turns=tuple(turns))


def longest_s(facts: MeterFacts, count: int, run_s: float, least_s: float, most_s: float) -> float:
    """Seconds after which `measured` has ended by itself, where an inference takes `run_s`."""
    each = max(facts.window_s, least_s, most_s) + facts.settle_s + 2 * run_s
    return (2 * count + 3) * each


def usual_s(facts: MeterFacts, count: int, run_s: float = 0.0, least_s: float = 0.0) -> float:
    """Seconds that `measured` takes where no window has to be longer."""
    length = max(facts.window_s, least_s)
    return count * (max(length, run_s) + run_s) + (count + 1) * length + (2 * count + 1) * facts.settle_s


def _pair(sampler: MeterReader, inference: Inference, length: float) -> tuple[MeterWindow, MeterWindow]:
    """An idle window and one at work.

    Raises:
        MeterError: a power that is the same all the time is none that is measured.
    """
    start = time.perf_counter()
    pair = _window(sampler, None, length), _window(sampler, inference, length)
    told = set(sampler.readings(start, time.perf_counter()))
    if not sampler.facts.counter and len(told) == 1:
        raise MeterError(f"{sampler.facts.title} tells {told.pop():.4g} W whatever runs")
    return pair


def _window(sampler: MeterReader, inference: Inference | None, length: float) -> MeterWindow:
    """One window, after what the meter still shows of what was before."""
    _passed(inference, sampler.facts.settle_s)
    start = time.perf_counter()
    runs = _passed(inference, length)
    end = time.perf_counter()
    sampler.wait_beyond(end)
    told = sampler.readings(start, end)
    window = MeterWindow(
        seconds=end - start, joules=sampler.joules(start, end), runs=runs, readings=len(told)
    )
    if sampler.facts.counter and window.joules <= 0:
        raise MeterError(f"the counter of {sampler.facts.title} stood still for {window.seconds:.3g} s")
    return window


def _passed(inference: Inference | None, seconds: float) -> int:
    """So many seconds, with inferences one after the other, and how many those were."""
    until = time.perf_counter() + seconds
    if inference is None:
        time.sleep(seconds)
        return 0
    runs = 0
    while not runs or time.perf_counter() < until:
        inference()
        runs += 1
    return runs


def _needed(facts: MeterFacts, idle: MeterWindow, work: MeterWindow) -> float:
    """How long a window has to be, by what two have told."""
    wanted = _OF_A_COUNTER if facts.counter else READINGS
    needed = wanted * work.seconds / max(1, work.readings) * 0.8  # a reading may come a little late
    above = work.watts - idle.watts
    if facts.counter and facts.step and above > 0:
        needed = max(needed, _STEPS * facts.step / above)
    return needed


def _too_little(facts: MeterFacts, idle: MeterWindow, work: MeterWindow) -> str:
    wanted = _OF_A_COUNTER if facts.counter else READINGS
    if work.readings < 0.64 * wanted:
        return (
            f"{facts.title} gives {work.readings} readings within {work.seconds:.3g} s, too few for a "
            "figure: `window` in the profile's `meter` makes windows longer"
        )
    return (
        f"{facts.title} tells steps of {facts.step:.3g} J, and inference takes "
        f"{work.watts - idle.watts:.3g} W above idle: a window of {work.seconds:.3g} s holds too few of them"
    )
