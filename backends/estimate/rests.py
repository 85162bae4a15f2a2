"""What a sum of terms leaves unexplained: how large that is in each situation, and how far its tails reach.

All of it is seen by leaving each measurement out in turn, so that what a fit bends itself to does not count
as explained. Tails are those that were seen, in the situation itself and in the others, and not those of a
normal distribution: a runtime now and then takes a slower way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from .terms import Floats

COVERS = 0.90
"""How often the truth lies in the interval of an estimate."""
NORMAL_REACH = float(ndtri((1 + COVERS) / 2))
FREEDOM = 4.0  # of Student's t
USUAL_REST, COUNTS_FOR = 0.08, 2.0
"""Standard deviation of a rest before anything was measured, and for how many measurements that counts."""
LEAST_REST = 0.01  # no device times a model more evenly, from one start to the next
OTHERS_COUNT_FOR = 10.0
"""For how many measurements of a situation itself the tails of all others count."""
ENOUGH, LONGEST_REACH = 2.0, 8.0


class Rests:
    """Of measurements at `places`, each the place of its situation among so many."""

    def __init__(self, places: NDArray[np.int64], situations: int) -> None:
        self._places = places
        self.counts = self._sums(np.ones(len(places)), situations)
        self.told = self.counts
        self.spread: Floats = np.full(situations, USUAL_REST)
        self.weights: Floats = np.ones(len(places))
        self.reach: Floats = np.full(situations, NORMAL_REACH)

    def look(self, left_out: Floats, share: Floats) -> None:
        """Take in how far off each measurement is by all others, in standard deviations, and which `share` of
        that is expected of rests. A measurement of which nothing else tells says nothing of rests.
        """
        squared = left_out**2
        self.weights = np.minimum(1.0, (FREEDOM + 1) / (FREEDOM + squared))
        seen = share * self.weights * squared * self.spread[self._places] ** 2
        of_situation = self._sums(seen, len(self.spread))
        self.told = self._sums(share, len(self.spread))
        usual = self._usual(of_situation)
        spread = np.sqrt((COUNTS_FOR * usual**2 + of_situation) / (COUNTS_FOR + self.told))
        self.spread = np.maximum(spread, LEAST_REST)

    def look_at_tails(self, left_out: Floats) -> None:
        """Settle how many standard deviations cover as many measurements as wanted, in each situation.

        As many as that are not yet there are taken to lie beyond all that were seen (conformal prediction).
        """
        far = np.abs(left_out)
        order = np.argsort(far)
        others = max(1, int(np.count_nonzero(self.counts)) - 1)
        for place, count in enumerate(self.counts):
            share = OTHERS_COUNT_FOR / others / np.maximum(self.counts[self._places], OTHERS_COUNT_FOR)
            weights = np.where(self._places == place, 1.0, share)[order]
            wanted = COVERS * (weights.sum() + 1)
            at = min(int(np.searchsorted(np.cumsum(weights), wanted)), len(order) - 1)
            # The spread itself is told by so few.
            unsure = float(stdtrit(self.told[place] + COUNTS_FOR, (1 + COVERS) / 2)) / NORMAL_REACH
            known = min(1.0, float(count) / ENOUGH)
            reach = NORMAL_REACH + known * (far[order[at]] * unsure - NORMAL_REACH)
            self.reach[place] = min(reach, LONGEST_REACH)

    def _usual(self, of_situation: Floats) -> float:
        """The rest of a situation of which little is known: as that of those that are known."""
        own = np.sqrt(of_situation / np.maximum(self.told, 1e-9))
        sure = self.told / (self.told + COUNTS_FOR)
        logs = np.log(USUAL_REST) + sure @ np.log(np.maximum(own, 1e-3))
        return float(np.exp(logs / (1 + sure.sum())))

    def _sums(self, values: Floats, situations: int) -> Floats:
        return np.bincount(self._places, values, situations).astype(np.float64)
