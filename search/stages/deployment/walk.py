"""Which settings of an artifact are tried next, by what is known of those before: no device here.

Each value of each axis alone comes first; then those that gained something, one after the other, together
with the best so far, until nothing is left that might gain more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ...record.evaluation import Quantity
from ...record.options import BATCH, Axis, Try
from ...record.setting import Setting

WORTH = 0.99
"""What takes more than this of the time of another setting is not worth having in its place."""
MOST_ROUNDS = 4
"""Measurements of one artifact: one of all values alone, and of what they come to together."""

Axes = Callable[[Setting], tuple[Axis, ...]]
"""What can be set otherwise beside a setting: some options mean nothing for one thread."""


class OptionsWalk:
    """The way from the default to the best setting of one artifact, which `best` names at any time. `batch`
    is the one that counts."""

    def __init__(self, default: Setting, axes: Axes) -> None:
        self.default, self._axes, self.batch = default, axes, default.batch
        self.tried: dict[Setting, Try] = {}
        self._rounds = 0

    def proposals(self) -> tuple[Setting, ...]:
        """What is to be measured now beside the default; nothing where the walk has ended."""
        if self._rounds >= MOST_ROUNDS:
            return ()
        wanted = self._together() if self._rounds else self._alone(self.default)
        return tuple(one for one in dict.fromkeys(wanted) if one not in self.tried and one != self.default)

    def learn(self, ratios: Mapping[Setting, Quantity], failed: Mapping[Setting, str]) -> None:
        """Take in one measurement: time per sample over that of the default in the same rounds, and why there
        is none."""
        self._rounds += 1
        self.tried |= {one: Try(setting=one, ratio_to_default=ratio) for one, ratio in ratios.items()}
        self.tried |= {one: Try(setting=one, note=why) for one, why in failed.items()}

    def leave_out(self, setting: Setting, why: str) -> None:
        """A setting that cannot be had after all."""
        self.tried[setting] = replace(self.tried[setting], note=why)

    @property
    def start(self) -> Setting:
        """The default, at the batch that counts."""
        return replace(self.default, batch=self.batch)

    @property
    def best(self) -> Setting:
        """The fastest per sample at the batch that counts; the start where nothing is worth leaving it."""
        known = {one: ratio for one in self.tried if (ratio := self.ratio(one)) and one.batch == self.batch}
        known[self.start] = own = self.ratio(self.start) or 1.0
        fastest = min(known, key=lambda one: known[one])
        return fastest if known[fastest] < WORTH * own else self.start

    def ratio(self, setting: Setting) -> float | None:
        """Of time per sample to that of the default, where the setting can be had."""
        if setting == self.default:
            return 1.0
        found = self.tried.get(setting)
        return found.ratio_to_default.value if found and found.ratio_to_default and not found.note else None

    def _alone(self, beside: Setting) -> list[Setting]:
        return [axis.set_in(beside, value) for axis in self._axes(beside) for value in axis.values]

    def _together(self) -> list[Setting]:
        """The best with each further gain added to those before, and with what has a meaning there alone."""
        best, wanted = self.best, list[Setting]()
        axes = {axis.name: axis for axis in self._axes(self.default) if axis.name != BATCH}
        gains = sorted((g for axis in axes.values() if (g := self._gain(axis))), key=lambda gain: gain[0])
        current = best
        for _, axis, value in gains:
            if axis.value_in(best) == axis.default:
                current = axis.set_in(current, value)
                wanted.append(current)
        new = (axis for axis in self._axes(best) if axis.name not in (BATCH, *axes))
        return wanted + [axis.set_in(best, value) for axis in new for value in axis.values]

    def _gain(self, axis: Axis) -> tuple[float, Axis, str] | None:
        """What the best value of an axis alone came to, where that was worth something."""
        alone = {value: self.ratio(axis.set_in(self.default, value)) for value in axis.values}
        known = {value: ratio for value, ratio in alone.items() if ratio is not None and ratio < WORTH}
        value = min(known, key=lambda one: known[one], default=None)
        return None if value is None else (known[value], axis, value)


def common_batch(
    batches: tuple[int, ...], walks: tuple[OptionsWalk, ...], allowed: Callable[[int], bool]
) -> int:
    """The batch at which all are compared: that which takes the first of them, the best ranked, the least
    time per sample, among those that are `allowed` (within the limits) and that all can be run at."""
    first, usual = walks[0], walks[0].default.batch

    def ratio(batch: int) -> float | None:
        return first.ratio(replace(first.default, batch=batch))

    def runs(batch: int) -> bool:
        return all(walk.ratio(replace(walk.default, batch=batch)) is not None for walk in walks)

    known = {batch: r for batch in batches if (r := ratio(batch)) and allowed(batch) and runs(batch)}
    best = min(known, key=lambda batch: known[batch], default=usual)
    return best if known.get(best, 1.0) < WORTH else usual
