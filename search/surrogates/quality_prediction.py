"""What the model of quality expects of rows that it does not know."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg.blas import dtrsm

from ..record.arrays import Floats, Integers
from .kernel import Inputs, Pairs
from .quality_model import AT_ONCE, JITTER, LEAST_FOR_OUTLIERS, Surrogate

DOUBT, MOST_MISSED = 2.0, 9.0
"""So many more neighbours were as far off as predicted; no squared miss counts more than so much."""


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


@dataclass(frozen=True, kw_only=True)
class Beliefs:
    """About rows: their quality, and what their known neighbours tell beside their values.

    `chance` [rows] is the share of neighbours that were no outliers: the chance to work. `doubt` [rows] is a
    factor for deviations: how far sound neighbours were from what the others predicted of them, in the
    deviations predicted then. One variance for all makes predictions on a plateau too hopeful, however well
    it is known.
    """

    quality: Prediction
    chance: Floats
    doubt: Floats

    def take(self, rows: Integers) -> Beliefs:
        """Some of the rows."""
        return Beliefs(quality=self.quality.take(rows), chance=self.chance[rows], doubt=self.doubt[rows])

    def likeliest(self) -> Beliefs:
        """By the likeliest settings alone."""
        return replace(self, quality=self.quality.likeliest())


def look(surrogate: Surrogate, inputs: Inputs, parts: int | None = None) -> Beliefs:
    """Beliefs about rows; `parts`: of the likeliest settings alone."""
    step = max(512, AT_ONCE // max(1, len(surrogate)))
    found = [
        _look(surrogate, inputs.take(slice(start, start + step)), parts)
        for start in range(0, max(1, len(inputs)), step)
    ]
    whole = Prediction(
        means=np.concatenate([each.quality.means for each in found], axis=1),
        deviations=np.concatenate([each.quality.deviations for each in found], axis=1),
        weights=found[0].quality.weights,
    )
    return Beliefs(
        quality=whole,
        chance=np.concatenate([each.chance for each in found]),
        doubt=np.concatenate([each.doubt for each in found]),
    )


def _look(of: Surrogate, inputs: Inputs, parts: int | None) -> Beliefs:
    """Beliefs about so few rows that all pairs fit into memory."""
    used, pairs, means, deviations = of.parts[:parts], Pairs(of.inputs, inputs), [], []
    chance, doubt = np.ones((2, len(inputs)))
    for place, part in enumerate(used):
        cross = pairs.kernel(part.setting)[0]
        if place == 0:
            known = cross[: len(of)]  # without what is only believed
            chance, doubt = of.chance(known), _doubt(of, known)
        cross += 1.0
        # Worked out in place: transposed, it lies in memory as the routine wants it.
        cross = dtrsm(1.0, part.factor.T, cross.T, side=1, overwrite_b=1).T
        means.append(of.centre + of.scale * (part.solved @ cross))
        left = np.maximum(2.0 - np.einsum("ij,ij->j", cross, cross), JITTER) * part.variance
        deviations.append(of.scale * np.sqrt(left))
    weights = np.array([part.weight for part in used])
    quality = Prediction(
        means=np.array(means), deviations=np.array(deviations), weights=weights / weights.sum()
    )
    return Beliefs(quality=quality, chance=chance, doubt=doubt)


def _doubt(of: Surrogate, cross: Floats) -> Floats:
    """[rows] see `Beliefs`; `cross` [known rows, rows] is the likeliest kernel."""
    if len(of) < LEAST_FOR_OUTLIERS:
        return np.ones(cross.shape[1])
    near = np.clip(cross, 0.0, 1.0)
    near *= near
    near *= near
    sound = (~of.outlying).astype(float)
    missed = np.minimum(of.surprises**2, MOST_MISSED)
    found: Floats = np.sqrt((DOUBT + (missed * sound) @ near) / (DOUBT + sound @ near))
    return found
