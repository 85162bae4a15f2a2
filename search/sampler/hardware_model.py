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
from scipy.linalg import cho_solve
from scipy.linalg.lapack import dpotrf, dpotri

from ..record.arrays import Floats, Integers
from .one_thread import in_one_thread

SHAPES: tuple[tuple[float, float, float], ...] = ((1, 0, 0), (1, 1, 0), (0.5, 1, 0.5), (0.2, 0.3, 1))
"""Weights of the parts: axes alone, in pairs, all at once."""
NOISES = (1e-3, 0.03, 0.1)
UNKNOWN_ERROR = 1.0
"""Of a logarithm, where too little was measured to tell."""
LEAST_MEASURED = 4
MOST_MEASURED = 400
"""Predictions rest on the latest so many; measured values stand for themselves in any case."""
REFIT_GROWTH = 1.1
"""The form of the regression is chosen anew when so many times the measurements are there."""
BEYOND = 8.0
"""Times: beyond what was measured a regression may run away no further."""
PAIRS_AT_ONCE = 1 << 17
TINY = 1e-12
SAME = 1e-9  # of logarithms: what differs by less differs by rounding
TO_DEVIATION = 1.4826  # of a normal distribution, from the median absolute error


@dataclass(frozen=True, kw_only=True)
class _Transform:
    """A way to look at a metric that makes it more nearly a sum over axes."""

    to: Callable[[Floats], Floats]
    back: Callable[[Floats], Floats]


TRANSFORMS = (
    _Transform(to=np.log, back=np.exp),
    _Transform(to=np.sqrt, back=lambda z: np.square(np.maximum(z, 0.0))),
    _Transform(to=lambda y: y, back=lambda z: z),
)


@dataclass(frozen=True, kw_only=True)
class _Form:
    """One kind of regression."""

    scale: _Transform
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
        # Of each measured class (its place) with every class: share of equal axes, how alike the counts are.
        self._shared = np.zeros((MOST_MEASURED, len(features)))
        self._alike = np.zeros((MOST_MEASURED, len(features) if counts.shape[1] else 0))
        self._predicted = self.known.copy()
        self._errors = np.full(len(self.metrics), UNKNOWN_ERROR)
        self._forms: dict[int, tuple[int, _Form]] = {}
        self._stale, self._learned = False, 0

    def learn(self, row: int, values: Mapping[str, float]) -> None:
        """Take in what was measured of a class; a later measurement replaces an earlier one."""
        if row not in self._rows:
            place = self._learned % MOST_MEASURED  # the oldest makes room
            self._learned += 1
            self._rows[place : place + 1] = [row]
            self._shared[place] = self.features @ self.features[row] / self._axes
            if self._alike.shape[1]:
                apart = ((self._counts - self._counts[row]) ** 2).sum(axis=1)
                self._alike[place] = np.exp(-apart / 8)
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
        if self._stale:
            self._stale = False
            self._predict_all()

    @in_one_thread
    def _predict_all(self) -> None:
        measured: dict[bytes, _Measured] = {}  # most metrics are known of the same classes
        for column in range(len(self.metrics)):
            known = self.known[self._rows, column]
            places = np.flatnonzero(~np.isnan(known))
            if len(places):
                key = places.tobytes()
                measured[key] = measured.get(key) or self._measured_at(places)
                self._predict(column, measured[key], known[places])

    def _measured_at(self, places: Integers) -> _Measured:
        rows = np.array(self._rows)[places]
        features, counts = self.features[rows], self._counts[rows]
        apart = ((counts[:, None] - counts) ** 2).sum(axis=2)
        return _Measured(places, features @ features.T / self._axes, np.exp(-apart / 8), self._axes)

    def _predict(self, column: int, among: _Measured, values: Floats) -> None:
        known = self.known[:, column]
        some = values[values > TINY]  # nothing (no load is held) has no logarithm: taken for little
        values = np.maximum(values, some.min() / BEYOND) if len(some) else values
        filled = np.full(len(known), np.exp(np.log(values).mean()))
        if len(values) >= LEAST_MEASURED and np.ptp(np.log(values)) > SAME:
            form = self._form(column, among, values)
            solution = among.solve(form, values)
            filled = form.scale.back(
                solution.middle + solution.spread * self._weighted(form, among, solution)
            )
            filled = np.clip(filled, values.min() / BEYOND, values.max() * BEYOND)
            self._errors[column] = min(solution.error, UNKNOWN_ERROR)
        self._predicted[:, column] = np.where(np.isnan(known), filled, known)

    def _form(self, column: int, among: _Measured, values: Floats) -> _Form:
        """The kind of regression for a metric, chosen anew now and then."""
        chosen_at, form = self._forms.get(column, (0, None))
        if form is not None and len(values) < REFIT_GROWTH * chosen_at:
            return form
        forms = [
            _Form(scale=scale, shape=shape, counts=counts, noise=noise)
            for scale in TRANSFORMS
            for shape in SHAPES
            for counts in ((0.0, 1.0) if self._counts.shape[1] else (0.0,))
            for noise in NOISES
        ]
        best = min(forms, key=lambda form: among.solve(form, values).error)
        self._forms[column] = (len(values), best)
        return best

    def _weighted(self, form: _Form, among: _Measured, solution: _Solution) -> Floats:
        """[classes] sum over the measured classes, each as much as it resembles the class."""
        count = len(self._rows)
        weights = np.zeros(count)
        weights[among.places] = solution.weights
        found = np.zeros(len(self.features))
        # A part at a time: all pairs at once would not fit into the processor's cache.
        step = max(1, PAIRS_AT_ONCE // len(found))
        for start in range(0, count, step):
            part = slice(start, min(start + step, count))
            found += weights[part] @ _resemblance(form, self._axes, self._shared[part])
            if form.counts:
                found += form.counts * (weights[part] @ self._alike[part])
        return found


def _resemblance(form: _Form, axes: int, share: Floats) -> Floats:
    """How much classes resemble each other, by the share of axes in which they are equal."""
    alone, pairs, whole = form.shape
    found: Floats = pairs * share
    found += alone
    found *= share
    if whole:
        decay = share - 1
        decay *= 0.7 * axes
        np.exp(decay, out=decay)
        decay *= whole
        found += decay
    return found


@dataclass(frozen=True, kw_only=True)
class _Solution:
    """A regression: weights of the measured classes, on a scale around `middle`; the typical error of the
    logarithm when each class is left out."""

    weights: Floats
    middle: float
    spread: float
    error: float


class _Measured:
    """Classes of which a metric is known; what metrics and forms have in common is worked out once."""

    def __init__(self, places: Integers, shared: Floats, alike: Floats, axes: int) -> None:
        self.places, self._shared, self._alike, self._axes = places, shared, alike, axes
        self._solved: dict[tuple[object, ...], tuple[Floats, Floats]] = {}

    def solve(self, form: _Form, values: Floats) -> _Solution:
        """The regression of one form on the classes' values."""
        scaled = form.scale.to(values)
        middle, spread = float(scaled.mean()), float(scaled.std())
        factor, ends = self._factor(form)
        weights: Floats = cho_solve((factor, True), (scaled - middle) / spread, check_finite=False)
        guessed = form.scale.back(scaled - spread * weights / ends)
        wrong = np.abs(np.log(np.maximum(guessed, values.min() / BEYOND)) - np.log(values))
        error = float(TO_DEVIATION * np.median(wrong) + 0.1 * wrong.mean())
        return _Solution(weights=weights, middle=middle, spread=spread, error=error)

    def _factor(self, form: _Form) -> tuple[Floats, Floats]:
        """The Cholesky factor of the kernel with the form's noise, and the diagonal of the inverse."""
        key = (form.shape, form.counts, form.noise)
        if key not in self._solved:
            kernel = _resemblance(form, self._axes, self._shared)
            if form.counts:
                kernel = kernel + form.counts * self._alike
            factor = dpotrf(kernel + form.noise * np.eye(len(kernel)), lower=1)[0]
            self._solved[key] = factor, np.diag(dpotri(factor, lower=1)[0])
        return self._solved[key]
