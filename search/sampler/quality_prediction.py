"""What the model of quality expects of rows that it does not know, kept while rows are added to it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg.blas import dtrsm

from .kernel import Floats, Inputs, Integers, Pairs
from .quality_model import AT_ONCE, JITTER, LEAST_FOR_OUTLIERS, Surrogate

DOUBT, MOST_MISSED = 2.0, 9.0
"""So many more neighbours were as far off as predicted; no squared miss counts more than so much."""
ROOM = 32  # so many more known rows a view makes room for


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Mixtures of normal distributions: `means` and `deviations` [parts, rows], `weights` [parts]."""

    means: Floats
    deviations: Floats
    weights: Floats

    def take(self, rows: Integers) -> Prediction:
        """Some of the rows."""
        return replace(self, means=self.means[:, rows], deviations=self.deviations[:, rows])

    def likeliest(self) -> Prediction:
        """Its first part alone."""
        return Prediction(means=self.means[:1], deviations=self.deviations[:1], weights=np.ones(1))

    @property
    def mean(self) -> Floats:
        """Mean of the mixture per row."""
        found: Floats = self.weights @ self.means
        return found

    @property
    def deviation(self) -> Floats:
        """Standard deviation of the mixture per row."""
        second = self.weights @ (self.deviations**2 + self.means**2)
        found: Floats = np.sqrt(np.maximum(second - self.mean**2, 1e-18))
        return found


class View:
    """Rows of interest: what is predicted of them, and what their known neighbours tell beside their values.

    `chance` [rows] is the share of neighbours that were no outliers: the chance to work. `doubt` [rows] is a
    factor for deviations: how far sound neighbours were from what the others predicted of them, in the
    deviations predicted then. One variance for all makes predictions on a plateau too hopeful, however well
    it is known.
    """

    def __init__(self, surrogate: Surrogate, inputs: Inputs, parts: int | None = None) -> None:
        self._of, self._inputs, self._parts = surrogate, inputs, len(surrogate.parts[:parts])
        self._known = len(surrogate)
        self._reduced: list[Floats] = []  # per part [known rows, rows]: its factor^-1 times the kernel
        self._spared = np.zeros((self._parts, len(inputs)))  # variance that the known rows take away
        self.chance = np.ones(len(inputs))
        self._missed, self._neighbours = np.zeros((2, len(inputs)))
        pairs = Pairs(surrogate.inputs, inputs)
        for place, part in enumerate(surrogate.parts[:parts]):
            cross = pairs.kernel(part.setting)[0]
            if place == 0:
                self.chance = surrogate.chance(cross)
                self._count_neighbours(cross, slice(0, self._known))
            cross += 1.0
            # Worked out in place: transposed, it lies in memory as the routine wants it.
            cross = dtrsm(1.0, part.factor.T, cross.T, side=1, overwrite_b=1).T
            self._spared[place] = np.einsum("ij,ij->j", cross, cross)
            self._reduced.append(cross)

    @property
    def doubt(self) -> Floats:
        """[rows]."""
        found: Floats = np.sqrt((DOUBT + self._missed) / (DOUBT + self._neighbours))
        return found

    def update(self) -> None:
        """Take in the rows that were added to the surrogate."""
        for row in range(self._known, len(self._of)):
            pairs = Pairs(self._of.inputs.take(slice(row, row + 1)), self._inputs)
            for place, part in enumerate(self._of.parts[: self._parts]):
                cross = pairs.kernel(part.setting)[0, 0]
                if place == 0:
                    self._count_neighbours(cross[None], slice(row, row + 1))
                before = self._room(place, row)
                before[row] = (cross + 1.0 - part.factor[row, :row] @ before[:row]) / part.factor[row, row]
                self._spared[place] += before[row] ** 2
            self._known = row + 1

    def _room(self, place: int, row: int) -> Floats:
        """The part's array, with room for one row more."""
        held = self._reduced[place]
        if row >= len(held):
            grown = np.empty((row + ROOM, held.shape[1]))
            grown[:row] = held[:row]
            self._reduced[place] = held = grown
        return held

    def _count_neighbours(self, cross: Floats, rows: slice) -> None:
        if len(self._of) < LEAST_FOR_OUTLIERS:
            return
        near = np.clip(cross, 0.0, 1.0)
        near *= near
        near *= near
        sound = (~self._of.outlying[rows]).astype(float)
        missed = np.minimum(self._of.surprises[rows] ** 2, MOST_MISSED)
        self._missed += (missed * sound) @ near
        self._neighbours += sound @ near

    def prediction(self) -> Prediction:
        """What is expected of the rows."""
        known, means, deviations = self._known, [], []
        of = self._of
        for place, part in enumerate(of.parts[: self._parts]):
            means.append(of.centre + of.scale * (part.solved[:known] @ self._reduced[place][:known]))
            left = np.maximum(2.0 - self._spared[place], JITTER) * part.variance
            deviations.append(of.scale * np.sqrt(left))
        weights = np.array([part.weight for part in of.parts[: self._parts]])
        return Prediction(
            means=np.array(means), deviations=np.array(deviations), weights=weights / weights.sum()
        )


def look(surrogate: Surrogate, inputs: Inputs, parts: int | None = None) -> tuple[Prediction, Floats, Floats]:
    """Prediction, chance to work and doubt of rows, see `View`; `parts`: of the likeliest settings alone."""
    step = max(512, AT_ONCE // max(1, len(surrogate)))
    views = [
        View(surrogate, inputs.take(slice(start, start + step)), parts)
        for start in range(0, max(1, len(inputs)), step)
    ]
    found = [view.prediction() for view in views]
    whole = Prediction(
        means=np.concatenate([each.means for each in found], axis=1),
        deviations=np.concatenate([each.deviations for each in found], axis=1),
        weights=found[0].weights,
    )
    return (
        whole,
        np.concatenate([view.chance for view in views]),
        np.concatenate([view.doubt for view in views]),
    )
