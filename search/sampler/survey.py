"""The first measurements, which tell the axes apart, and how many measurements trainings are worth."""

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
MEASURED_FIRST, MEASURED_SHARE = 10.0, 0.5
"""Where a training costs less than so many measurements, and no limit is on the device, measurements of
untrained networks take at most such a share of what trainings took: what is trained is measured anyway."""


class Survey:
    """Hardware classes that are to be measured before anything is proposed."""

    def __init__(self, knowledge: Knowledge, seed: int) -> None:
        self.knowledge, self._seed = knowledge, seed
        self._spent_s, self._trained_before_s = 0.0, knowledge.costs.trained
        self._left: list[int] = []
        self._afforded, self._over = 0.0, False

    def end(self) -> None:
        """No first measurements any more."""
        self._left, self._over = [], True

    def spend(self, seconds: float) -> None:
        """A measurement with untrained weights took so long."""
        self._spent_s += seconds

    @property
    def in_proportion(self) -> bool:
        """Whether one more measurement stands in proportion to what trainings cost."""
        known, costs = self.knowledge, self.knowledge.costs
        if known.measurements_for(1.0) >= MEASURED_FIRST:
            return True
        trained = costs.trained - self._trained_before_s
        measuring = (1 + known.flight.measurements) * costs.measurement
        return self._spent_s + measuring <= MEASURED_SHARE * trained

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
