"""From which round on a device was slowed down: by what it says, by its clock, or by the reference alone.

A clock that is read between two blocks may be that of a core which has gone idle. So a low clock counts only
where it stays low to the end and what is measured took longer from the same round on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median, quantiles

import numpy as np

from ...profiles.watched import CLOCK, COUNT, FLAG, REFERENCE, Slowdown
from .state import State

Readings = Sequence[tuple[int, State]]
"""A state with the number of rounds that were done when it was read, in order."""

HEAT = "heat"
_FELL, _FEWEST = 0.9, 4
_TOOK_LONGER, _SHARE_OF_FALL, _WARMER_C = 0.03, 0.2, 1.0
"""How much longer the reference has to take where a clock falls: at least so much, and so much of what the
fall would cost work that waits for nothing but the processor."""
_MUCH_LONGER, _FEWEST_ROUNDS, _STAYS = 0.10, 5, 0.9
"""Where the reference alone tells, it has to take so much longer in so large a share of the later rounds."""


def slowdown(readings: Readings, took: Sequence[float], elsewhere: str = "") -> Slowdown | None:
    """The first that is found. `took` is how long the reference took in each round, each of its processes by
    its own measure; `elsewhere` is what else could have taken the time."""
    said = _by_flags(readings) or _by_counts(readings)
    if said is not None:
        return replace(said, slower=slower_in(took, said))
    if fell := _by_clock(readings, took):
        return fell
    return None if _tells_clock(readings) else _by_reference(took, elsewhere)


def slower_in(took: Sequence[float], found: Slowdown) -> float | None:
    """The share by which the rounds of a slowdown took longer than the others."""
    first, last = found.first_round - 1, found.last_round or len(took)
    inside, outside = took[first:last], [*took[:first], *took[last:]]
    if not inside or not outside or median(outside) <= 0:
        return None
    return round(median(inside) / median(outside) - 1, 4)


def _by_flags(readings: Readings) -> Slowdown | None:
    """What a device says of now; and what it says of since its start, where it did not say so at first."""
    before = set((readings[0][1].was_slowed or ()) if readings else ())
    hits = [
        (done, names)
        for done, state in readings
        if (names := dict.fromkeys((*(state.slowing or ()), *sorted(set(state.was_slowed or ()) - before))))
    ]
    if not hits:
        return None
    first, last = max(1, hits[0][0]), hits[-1][0]
    return Slowdown(
        first_round=first,
        last_round=None if last == readings[-1][0] else max(first, last),
        cause=", ".join(dict.fromkeys(name for _, names in hits for name in names)),
        known_by=FLAG,
    )


def _by_counts(readings: Readings) -> Slowdown | None:
    grown = [
        (before + 1, done, name)
        for (before, early), (done, late) in pairwise(readings)
        for name, count in late.counts.items()
        if count > early.counts.get(name, count)
    ]
    if not grown:
        return None
    last = max(done for _, done, _ in grown)
    return Slowdown(
        first_round=min(max(1, grown[0][0]), max(1, last)),
        last_round=None if last == readings[-1][0] else max(1, last),
        cause=", ".join(dict.fromkeys(name.replace("_", " ") for _, _, name in grown)),
        known_by=COUNT,
    )


def _tells_clock(readings: Readings) -> bool:
    return sum(bool(state.clock_mhz) for _, state in readings) > 2 * _FEWEST


@dataclass(frozen=True)
class _Fall:
    first_round: int
    cost: float
    warmer: bool


def _by_clock(readings: Readings, took: Sequence[float]) -> Slowdown | None:
    names = dict.fromkeys(name for _, state in readings for name in state.clock_mhz)
    falls = [fall for name in names if (fall := _fall(readings, name)) is not None]
    for fall in sorted(falls, key=lambda one: one.first_round):
        found = Slowdown(
            first_round=fall.first_round, cause=HEAT if fall.warmer else "", known_by=CLOCK, slower=None
        )
        longer = slower_in(took, found)
        if longer is not None and longer >= max(_TOOK_LONGER, _SHARE_OF_FALL * fall.cost):
            return replace(found, slower=longer)
        if not took and fall.warmer:
            return found
    return None


def _fall(readings: Readings, name: str) -> _Fall | None:
    """Where a clock falls below 90 % of what it was until then, and stays there. What it was is the upper
    quartile: of a core that has gone idle many readings are low."""
    told = [
        (done, state.clock_mhz[name], state.hottest_c) for done, state in readings if name in state.clock_mhz
    ]
    for place in range(_FEWEST, len(told) - _FEWEST + 1):
        usual = quantiles((mhz for _, mhz, _ in told[:place]), n=4)[2]
        if all(mhz < _FELL * usual for _, mhz, _ in told[place:]):
            cool, warm = ([c for _, _, c in part if c is not None] for part in (told[:place], told[place:]))
            warmer = bool(cool and warm) and max(warm) >= min(cool) + _WARMER_C
            cost = usual / median(mhz for _, mhz, _ in told[place:]) - 1
            return _Fall(max(1, told[place][0]), cost, warmer)
    return None


def _by_reference(took: Sequence[float], elsewhere: str) -> Slowdown | None:
    """The round that parts the slow rounds from the quick ones best, if they are far enough apart."""
    count = len(took)
    if count < 2 * _FEWEST_ROUNDS or min(took) <= 0:
        return None
    logs = np.log(np.asarray(took))
    places = np.arange(_FEWEST_ROUNDS, count - _FEWEST_ROUNDS + 1)
    sums = np.cumsum(logs)
    early = sums[places - 1] / places
    late = (sums[-1] - sums[places - 1]) / (count - places)
    place = int(places[np.argmax((late - early) * np.sqrt(places * (count - places)))])
    usual = float(np.median(took[:place]))
    longer = float(np.median(took[place:])) / usual - 1
    stays = float(np.mean(np.asarray(took[place:]) > usual * (1 + _MUCH_LONGER / 2)))
    below = float(np.mean(np.asarray(took[:place]) < usual * (1 + _MUCH_LONGER / 2)))
    if longer < _MUCH_LONGER or min(stays, below) < _STAYS:
        return None
    return Slowdown(first_round=place + 1, cause=elsewhere, known_by=REFERENCE, slower=round(longer, 4))


def quota_cut(readings: Readings) -> tuple[int, int]:
    """Periods of a quota that were cut short between the first reading and the last one, and all of them."""
    told = [state.quota for _, state in readings if state.quota is not None]
    if len(told) < 2:
        return 0, 0
    return max(0, told[-1].throttled - told[0].throttled), max(0, told[-1].periods - told[0].periods)
