"""Two orders of trainings to measure searches by: the best one in hindsight, and the smallest first."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.simulation.recorded import Point, Recorded


@dataclass(frozen=True, kw_only=True)
class Order:
    """Trainings by key, in the order in which they are made, what they take, and the share they give with
    every variant of each."""

    trainings: tuple[str, ...]
    seconds: float
    share: float


class _Sets:
    """Hypervolume of whatever a set of trainings makes possible."""

    def __init__(self, table: Recorded) -> None:
        self.table = table
        self.seconds = {key: training.seconds for key, training in table.trainings().items()}
        self._points: dict[frozenset[str], list[Point]] = {}
        for candidate in table.space.candidates():
            point = table.true(candidate)
            if point is not None:
                needed = frozenset(t.key for t in table.row(candidate).trainings)
                self._points.setdefault(needed, []).append(point)
        self._known: dict[frozenset[str], float] = {}

    @property
    def bundles(self) -> list[frozenset[str]]:
        """Trainings that belong together: a pruned student comes with its dense one."""
        return [needed for needed in self._points if needed]

    def share(self, trained: frozenset[str]) -> float:
        """Share of the true front's hypervolume, with every variant of what is trained."""
        if trained not in self._known:
            usable = [p for needed, points in self._points.items() if needed <= trained for p in points]
            self._known[trained] = self.table.share(usable)
        return self._known[trained]

    def cost(self, keys: Iterable[str]) -> float:
        """Training seconds."""
        return math.fsum(self.seconds[key] for key in keys)  # whatever the order of a set

    def order(self, bundles: list[frozenset[str]]) -> Order:
        """These trainings in this order, a dense student before the pruned one."""
        trained = _all(bundles)
        keys = tuple(dict.fromkeys(key for bundle in bundles for key in sorted(bundle, key=len)))
        return Order(trainings=keys, seconds=self.cost(trained), share=self.share(trained))


def clairvoyant(table: Recorded, goal: float) -> Order:
    """Trainings that reach `goal` in few seconds: the best gain per second again and again from every first
    choice, then without what turned out needless; the cheapest of these. The true least may be a bit less.
    """
    sets = _Sets(table)
    found = [_without_needless(sets, _greedy(sets, [first], goal), goal) for first in sets.bundles]
    best = min(found, key=lambda order: (sets.share(_all(order)) < goal, sets.cost(_all(order))))
    return sets.order(best)


def smallest_first(table: Recorded, goal: float) -> Order:
    """Models in the order of the work that their trainings are, which is known beforehand, up to `goal`.

    No search at all, and a good order where the small models are the ones that count: a search that is worth
    anything must not be much worse, and better where they are not.
    """
    sets, works = _Sets(table), {key: t.work or 0.0 for key, t in table.trainings().items()}
    order: list[frozenset[str]] = []
    for bundle in sorted(sets.bundles, key=lambda keys: (sum(works[key] for key in keys), sorted(keys))):
        order.append(bundle)
        if sets.share(_all(order)) >= goal:
            break
    return sets.order(order)


def _all(order: list[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*order)


def _greedy(sets: _Sets, order: list[frozenset[str]], goal: float) -> list[frozenset[str]]:
    while sets.share(_all(order)) < goal:
        trained = _all(order)
        now = sets.share(trained)
        left = [bundle for bundle in sets.bundles if not bundle <= trained]
        if not left:
            return order
        rates = {b: (sets.share(trained | b) - now) / sets.cost(b - trained) for b in left}
        order = [*order, max(rates, key=lambda bundle: rates[bundle])]
    return order


def _without_needless(sets: _Sets, order: list[frozenset[str]], goal: float) -> list[frozenset[str]]:
    for bundle in sorted(order, key=sets.cost, reverse=True):
        rest = [other for other in order if other != bundle]
        if rest and sets.share(_all(rest)) >= goal:
            order = rest
    return order
