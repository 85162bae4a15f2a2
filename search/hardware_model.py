"""Hardware metrics of every class of candidates: measured, or predicted from those that were.

Predictions are kernel ridge regressions of the logarithm on axes shared alone, in pairs and all at once (time
and size are near to sums over layers and to products of width and depth). How sure they are is read from
leaving out each measured class in turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SHAPES: tuple[tuple[float, float, float], ...] = ((1, 0, 0), (1, 1, 0), (0.5, 1, 0.5), (0.2, 0.3, 1))
"""Weights of the parts: axes alone, in pairs, all at once."""
NOISE = 1e-3
UNKNOWN_ERROR = 1.0
"""Of a logarithm, where too little was measured to tell."""
LEAST_MEASURED = 4
MOST_MEASURED = 400
"""Predictions rest on the latest so many; measured values stand for themselves in any case."""
TINY = 1e-12


class HardwareModel:
    """`features` [classes, one-hot columns] describe the classes by `axes` axes."""

    def __init__(self, features: Floats, axes: int, metrics: Sequence[str]) -> None:
        self.metrics = tuple(metrics)
        self.features, self._axes = features, max(1, axes)
        self.known = np.full((len(features), len(self.metrics)), np.nan)
        self.refused = np.zeros(len(features), dtype=bool)
        self.measured = np.zeros(len(features), dtype=bool)
        self._rows: list[int] = []
        self._shared = np.zeros((len(features), 0))
        self._predicted = self.known.copy()
        self._errors = np.full(len(self.metrics), UNKNOWN_ERROR)
        self._stale = False

    def learn(self, row: int, values: Mapping[str, float]) -> None:
        """Take in what was measured of a class; a later measurement replaces an earlier one."""
        if row not in self._rows:
            self._rows.append(row)
            share = self.features @ self.features[row] / self._axes
            self._shared = np.column_stack([self._shared, share])[:, -MOST_MEASURED:]
            self._rows = self._rows[-MOST_MEASURED:]
        self.measured[row] = True
        for column, metric in enumerate(self.metrics):
            if metric in values:
                self.known[row, column] = max(float(values[metric]), TINY)
        self._stale = True

    def refuse(self, row: int) -> None:
        """A class that cannot exist on the device."""
        self.refused[row] = True

    @property
    def values(self) -> Floats:
        """[classes, metrics]: measured, else predicted; NaN where a metric was never seen."""
        self._update()
        return self._predicted

    @property
    def errors(self) -> Floats:
        """Standard deviation of the logarithm of a prediction, per metric."""
        self._update()
        return self._errors

    def _update(self) -> None:
        if not self._stale:
            return
        self._stale = False
        for column in range(len(self.metrics)):
            self._predict(column)

    def _predict(self, column: int) -> None:
        known = self.known[:, column]
        usable = [place for place, row in enumerate(self._rows) if not np.isnan(known[row])]
        if not usable:
            return
        rows = np.array(self._rows)[usable]
        logs = np.log(known[rows])
        mean = logs.mean()
        filled = np.full(len(known), mean)
        if len(rows) >= LEAST_MEASURED and logs.std() > 0:
            shared = self._shared[:, usable]
            best = min(
                (self._fit(shared[rows], logs - mean, shape) for shape in SHAPES), key=lambda found: found[0]
            )
            error, solved, shape = best
            filled += self._kernel(shared, shape) @ solved
            # Beyond what was measured a regression may run away.
            low, high = logs.min() - 2.0, logs.max() + 2.0
            filled = np.clip(filled, low, high)
            self._errors[column] = min(error, UNKNOWN_ERROR)
        self._predicted[:, column] = np.where(np.isnan(known), np.exp(filled), known)

    def _kernel(self, shared: Floats, shape: tuple[float, float, float]) -> Floats:
        alone, pairs, whole = shape
        found: Floats = alone * shared + pairs * shared**2
        if whole:
            found = found + whole * np.exp(-0.7 * self._axes * (1 - shared))
        return found

    def _fit(
        self, shared: Floats, logs: Floats, shape: tuple[float, float, float]
    ) -> tuple[float, Floats, tuple[float, float, float]]:
        """Error when each is left out, and the weights of the measured rows."""
        inverse = np.linalg.inv(self._kernel(shared, shape) + NOISE * np.eye(len(logs)))
        solved: Floats = inverse @ logs
        left_out = solved / np.diag(inverse)
        return float(np.sqrt(np.mean(left_out**2))), solved, shape
