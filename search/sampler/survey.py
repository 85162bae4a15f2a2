"""The first measurements, which tell the axes apart."""

from __future__ import annotations

import numpy as np

from ..record.arrays import Integers
from .knowledge import Knowledge
from .pool import spread_first

COST, LEAST, MOST = 1.0, 1.0, 30.0
"""They may take as long as so many trainings; at least and at most so many are made for each value of each
axis."""
MUCH_MORE = 2.0
"""Where trainings turn out so many times as dear against measurements as they seemed, more are made."""


class Survey:
    """Hardware classes that are to be measured before anything is proposed."""

    def __init__(self, knowledge: Knowledge, seed: int) -> None:
        self.knowledge, self._seed = knowledge, seed
        self._left: list[int] = []
        self._afforded, self._over = 0.0, False

    def end(self) -> None:
        """No first measurements any more."""
        self._left, self._over = [], True

    def pending(self) -> list[int]:
        """Classes that are left; none before there is a simple choice to compare with."""
        known = self.knowledge
        if not known.baseline_points or self._over:
            return []
        afford = known.measurements_for(COST)
        if afford >= MUCH_MORE * self._afforded:
            self._afforded, self._left = max(afford, 1.0), self._chosen(int(afford))
        done = known.hardware.measured | known.hardware.refused
        self._left = [group for group in self._left if not done[group]]
        under_way = known.flight.classes()
        return [group for group in self._left if group not in under_way]

    def _chosen(self, afford: int) -> list[int]:
        trained, features = self.knowledge.trained_classes(), self.knowledge.hardware.features
        varied = int((features > 0).any(axis=0).sum())
        wanted = int(min(max(afford, LEAST * varied), MOST * varied, len(trained)))
        chosen = spread_first(features[trained], wanted, self._seed) if wanted > 0 else []
        return [trained[place] for place in chosen]

    def rows(self, group: int) -> Integers:
        """Candidates of a class that may be proposed; it is left out where there are none."""
        found = np.flatnonzero((self.knowledge.pool.classes == group) & self.knowledge.left())
        if not len(found):
            self._left.remove(group)
        return found
