"""Hardware metrics of every class of candidates: measured, or predicted from those that were.

Predictions are kernel ridge regressions on axes shared alone, in pairs and all at once, and on how often each
choice occurs. Time and size are near to sums over layers for some spaces and to products (width times depth)
for others, so metrics are fitted as they are, as roots and as logarithms. What predicts best when each
measured class is left out in turn is used, and that error says how sure the predictions are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SHAPES: tuple[tuple[float, float, float], ...] = ((1, 0, 0), (1, 1, 0), (0.5, 1, 0.5), (0.2, 0.3, 1))
"""Weights of the parts: axes alone, in pairs, all at once."""
NOISES = (1e-3, 0.03, 0.1)
UNKNOWN_ERROR = 1.0
"""Of a logarithm, where too little was measured to tell."""
LEAST_MEASURED = 4
MOST_MEASURED = 400
"""Predictions rest on the latest so many; measured values stand for themselves in any case."""
MANY = 300
REFIT_GROWTH = 1.1
"""The form of the regression is chosen anew when so many times the measurements are there."""
BEYOND = 8.0
"""Times: beyond what was measured a regression may run away no further."""
TINY = 1e-12
SAME = 1e-9  # of logarithms: what differs by less differs by rounding
TO_DEVIATION = 1.4826  # of a normal distribution, from the median absolute error


@dataclass(frozen=True, kw_only=True)
class _Scale:
    """A way to look at a metric that makes it more nearly a sum over axes."""

    to: Callable[[Floats], Floats]
    back: Callable[[Floats], Floats]


SCALES = (
    _Scale(to=np.log, back=np.exp),
    _Scale(to=np.sqrt, back=lambda z: np.square(np.maximum(z, 0.0))),
    _Scale(to=lambda y: y, back=lambda z: z),
)


@dataclass(frozen=True, kw_only=True)
class _Form:
    """One kind of regression."""

    scale: _Scale
    shape: tuple[float, float, float]
    counts: float
    noise: float


class HardwareModel:
    """`features` [classes, one-hot columns] describe the classes by `axes` axes, `counts` [classes, choices]
    how often each choice occurs."""

    def __init__(self, features: Floats, axes: int, counts: Floats, metrics: Sequence[str]) -> None:
        self.metrics = tuple(metrics)
        self.features, self._axes, self._counts = features, max(1, axes), counts
        self.known = np.full((len(features), len(self.metrics)), np.nan)
        self.refused = np.zeros(len(features), dtype=bool)
        self.measured = np.zeros(len(features), dtype=bool)
        self._rows: list[int] = []
        self._shared = np.zeros((len(features), MOST_MEASURED))
        self._apart = np.zeros((len(features), MOST_MEASURED))
        self._predicted = self.known.copy()
        self._errors = np.full(len(self.metrics), UNKNOWN_ERROR)
        self._forms: dict[int, tuple[int, _Form]] = {}
        self._stale, self._since, self._learned = False, 0, 0

    def learn(self, row: int, values: Mapping[str, float]) -> None:
        """Take in what was measured of a class; a later measurement replaces an earlier one."""
        if row not in self._rows:
            place = self._learned % MOST_MEASURED  # the oldest makes room
            self._learned += 1
            self._rows[place : place + 1] = [row]
            self._shared[:, place] = self.features @ self.features[row] / self._axes
            self._apart[:, place] = ((self._counts - self._counts[row]) ** 2).sum(axis=1)
        self.measured[row] = True
        self._since += 1
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
        if len(self._rows) > MANY and self._since < len(self._rows) // 50:
            # A few more change little: what was measured stands for itself, predictions stay a while.
            self._predicted = np.where(np.isnan(self.known), self._predicted, self.known)
            return
        self._since = 0
        for column in range(len(self.metrics)):
            self._predict(column)

    def _predict(self, column: int) -> None:
        known = self.known[:, column]
        places = np.array([p for p, row in enumerate(self._rows) if not np.isnan(known[row])], dtype=np.int64)
        if not len(places):
            return
        rows = np.array(self._rows)[places]
        values = known[rows]
        filled = np.full(len(known), np.exp(np.log(values).mean()))
        if len(rows) >= LEAST_MEASURED and np.ptp(np.log(values)) > SAME:
            form = self._form(column, places, rows, values)
            filled, error = self._fitted(form, places, rows, values)
            filled = np.clip(filled, values.min() / BEYOND, values.max() * BEYOND)
            self._errors[column] = min(error, UNKNOWN_ERROR)
        self._predicted[:, column] = np.where(np.isnan(known), filled, known)

    def _form(self, column: int, places: NDArray[np.int64], rows: NDArray[np.int64], values: Floats) -> _Form:
        """The kind of regression for a metric, chosen anew now and then."""
        chosen_at, form = self._forms.get(column, (0, None))
        if form is not None and len(rows) < REFIT_GROWTH * chosen_at:
            return form
        forms = [
            _Form(scale=scale, shape=shape, counts=counts, noise=noise)
            for scale in SCALES
            for shape in SHAPES
            for counts in ((0.0, 1.0) if self._counts.shape[1] else (0.0,))
            for noise in NOISES
        ]
        best = min(forms, key=lambda form: self._error(form, places, rows, values))
        self._forms[column] = (len(rows), best)
        return best

    def _kernel(self, form: _Form, among: NDArray[np.int64] | None, places: NDArray[np.int64]) -> Floats:
        """Of the classes `among` (None: all) with the measured ones at `places`."""
        shared = self._columns(self._shared, among, places)
        alone, pairs, whole = form.shape
        found: Floats = alone * shared + pairs * shared**2
        if whole:
            found = found + whole * np.exp(-0.7 * self._axes * (1 - shared))
        if form.counts:
            apart = self._columns(self._apart, among, places)
            found = found + form.counts * np.exp(-apart / 8)
        return found

    def _columns(self, of: Floats, among: NDArray[np.int64] | None, places: NDArray[np.int64]) -> Floats:
        if among is not None:
            return of[np.ix_(among, places)]
        count = len(self._rows)
        return of[:, :count] if len(places) == count else of[:, places]

    def _solve(
        self, form: _Form, places: NDArray[np.int64], rows: NDArray[np.int64], values: Floats
    ) -> tuple[Floats, Floats, float, float]:
        scaled = form.scale.to(values)
        middle, spread = float(scaled.mean()), float(scaled.std())
        inverse = np.linalg.inv(self._kernel(form, rows, places) + form.noise * np.eye(len(rows)))
        solved: Floats = inverse @ ((scaled - middle) / spread)
        return solved, solved / np.diag(inverse), middle, spread

    def _error(
        self, form: _Form, places: NDArray[np.int64], rows: NDArray[np.int64], values: Floats
    ) -> float:
        """Typical error of the logarithm when each measured class is left out."""
        _, missed, _, spread = self._solve(form, places, rows, values)
        guessed = form.scale.back(form.scale.to(values) - spread * missed)
        wrong = np.abs(np.log(np.maximum(guessed, values.min() / BEYOND)) - np.log(values))
        return float(TO_DEVIATION * np.median(wrong) + 0.1 * wrong.mean())

    def _fitted(
        self, form: _Form, places: NDArray[np.int64], rows: NDArray[np.int64], values: Floats
    ) -> tuple[Floats, float]:
        """[classes] predictions, and their error."""
        solved, _, middle, spread = self._solve(form, places, rows, values)
        filled = form.scale.back(middle + spread * (self._kernel(form, None, places) @ solved))
        return filled, self._error(form, places, rows, values)
