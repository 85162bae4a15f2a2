"""Two orders of trainings to measure searches by: the best one in hindsight, and the smallest first."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache

from benchmarks.simulation.recorded import Point, Recorded

Bundle = frozenset[str]
"""Keys of trainings that belong together: a pruned student comes with its dense one."""


class Trainings:
    """What each set of trainings makes possible, and what it takes."""

    def __init__(self, table: Recorded) -> None:
        self.all, self._points = table.trainings(), dict[Bundle, list[Point]]()
        for candidate in table.space.candidates():
            point, row = table.true(candidate), table.row(candidate)
            if point is not None and row is not None:
                self._points.setdefault(frozenset(t.key for t in row.trainings), []).append(point)
        self.bundles = [bundle for bundle in self._points if bundle]

        @cache
        def share(trained: Bundle) -> float:
            usable = [p for needed, points in self._points.items() if needed <= trained for p in points]
            return table.share(usable)

        self._share = share

    def share(self, bundles: Iterable[Bundle]) -> float:
        """Share of the true front's hypervolume, with every variant of what is trained."""
        return self._share(_all(bundles))

    def seconds(self, bundles: Iterable[Bundle]) -> float:
        return math.fsum(self.all[key].seconds for key in _all(bundles))  # whatever the order of a set

    def clairvoyant(self, goal: float) -> list[Bundle]:
        """Trainings that reach `goal` in few seconds: the best gain per second again and again from every
        first choice, then without what turned out needless; the cheapest of these. The true least may be a
        bit less."""
        found = [self._without_needless(self._greedy([first], goal), goal) for first in self.bundles]
        return min(found, key=lambda order: (self.share(order) < goal, self.seconds(order)))

    def smallest_first(self, goal: float) -> list[Bundle]:
        """Models in the order of the work that their trainings are, which is known beforehand, up to `goal`.

        No search at all, and a good order where the small models are the ones that count: a search that is
        worth anything must not be much worse, and better where they are not.
        """
        order: list[Bundle] = []
        works = {bundle: sum(self.all[key].work or 0.0 for key in bundle) for bundle in self.bundles}
        for bundle in sorted(self.bundles, key=lambda keys: (works[keys], sorted(keys))):
            order.append(bundle)
            if self.share(order) >= goal:
                break
        return order

    def _greedy(self, order: list[Bundle], goal: float) -> list[Bundle]:
        while (now := self.share(order)) < goal:
            trained = _all(order)
            left = [bundle for bundle in self.bundles if not bundle <= trained]
            if not left:
                break
            rates = {b: (self.share([*order, b]) - now) / self.seconds([b - trained]) for b in left}
            order = [*order, max(rates, key=lambda bundle: rates[bundle])]
        return order

    def _without_needless(self, order: list[Bundle], goal: float) -> list[Bundle]:
        for bundle in sorted(order, key=lambda one: self.seconds([one]), reverse=True):
            rest = [other for other in order if other != bundle]
            if rest and self.share(rest) >= goal:
                order = rest
        return order


def names_of(bundles: Iterable[Bundle]) -> list[str]:
    """The trainings in this order, a dense student before the pruned one."""
    return list(dict.fromkeys(key for bundle in bundles for key in sorted(bundle, key=len)))


def _all(bundles: Iterable[Bundle]) -> Bundle:
    return frozenset().union(*bundles)
