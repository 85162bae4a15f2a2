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

from ..record.arrays import Floats, Integers
from .kept_inverse import KeptInverse, inverse_of
from .measured_classes import Likeness, MeasuredClasses
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
    likeness: Likeness


class HardwareModel:
    """`features` [classes, one-hot columns] describe the classes by `axes` axes, `counts` [classes, choices]
    how often each choice occurs."""

    def __init__(self, features: Floats, axes: int, counts: Floats, metrics: Sequence[str]) -> None:
        self.metrics = tuple(metrics)
        self.features = features
        self.known = np.full((len(features), len(self.metrics)), np.nan)
        self.refused = np.zeros(len(features), dtype=bool)
        self.measured = np.zeros(len(features), dtype=bool)
        self._classes = MeasuredClasses(features, axes, counts, MOST_MEASURED)
        self._predicted = self.known.copy()
        self._errors = np.full(len(self.metrics), UNKNOWN_ERROR)
        self._forms: dict[int, tuple[int, _Form]] = {}
        self._likenesses = [
            Likeness(alone=alone, pairs=pairs, whole=whole, counts=told, noise=noise)
            for alone, pairs, whole in SHAPES
            for told in ((0.0, 1.0) if self._classes.counting else (0.0,))
            for noise in NOISES
        ]
        self._inverses: dict[int, tuple[Likeness, KeptInverse]] = {}
        self._tried: dict[tuple[Likeness, bytes], Floats] = {}
        self._stale = False

    def learn(self, row: int, values: Mapping[str, float]) -> None:
        """Take in what was measured of a class; a later measurement replaces an earlier one."""
        self._classes.add(row)
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
        rows = np.array(self._classes.rows)
        for column in range(len(self.metrics)):
            known = self.known[rows, column]
            places = np.flatnonzero(~np.isnan(known))
            if len(places):
                self._predict(column, places, known[places])
        self._tried.clear()

    def _predict(self, column: int, places: Integers, values: Floats) -> None:
        known = self.known[:, column]
        some = values[values > TINY]  # nothing (no load is held) has no logarithm: taken for little
        values = np.maximum(values, some.min() / BEYOND) if len(some) else values
        filled = np.full(len(known), np.exp(np.log(values).mean()))
        if len(values) >= LEAST_MEASURED and np.ptp(np.log(values)) > SAME:
            form = self._form(column, places, values)
            found = _solved(form.scale, self._inverse(column, form.likeness, places), values)
            weights = np.zeros(len(self._classes.rows))
            weights[places] = found.weights
            spread = found.spread * self._classes.weighted(form.likeness, weights)
            filled = form.scale.back(found.middle + spread)
            filled = np.clip(filled, values.min() / BEYOND, values.max() * BEYOND)
            self._errors[column] = min(found.error, UNKNOWN_ERROR)
        self._predicted[:, column] = np.where(np.isnan(known), filled, known)

    def _form(self, column: int, places: Integers, values: Floats) -> _Form:
        """The kind of regression for a metric, chosen anew now and then."""
        chosen_at, form = self._forms.get(column, (0, None))
        if form is not None and len(values) < REFIT_GROWTH * chosen_at:
            return form
        forms = [
            _Form(scale=scale, likeness=likeness) for scale in TRANSFORMS for likeness in self._likenesses
        ]
        best = min(forms, key=lambda one: _solved(one.scale, self._anew(one.likeness, places), values).error)
        self._forms[column] = (len(values), best)
        return best

    def _anew(self, likeness: Likeness, places: Integers) -> Floats:
        """The inverse that metrics share which are known of the same classes, where forms are tried."""
        key = (likeness, places.tobytes())
        if key not in self._tried:
            self._tried[key] = inverse_of(self._classes.near(likeness, places, places), likeness.noise)
        return self._tried[key]

    def _inverse(self, column: int, likeness: Likeness, places: Integers) -> Floats:
        """The inverse for a metric, which follows what was measured since."""
        held = np.full(len(self._classes.rows), -1)
        held[places] = np.array(self._classes.rows)[places]
        kept = self._inverses.get(column)
        if kept is None or kept[0] != likeness:
            kept = self._inverses[column] = (likeness, KeptInverse(likeness.noise))
        found = kept[1].follow(held, lambda some, others: self._classes.near(likeness, some, others))
        return found if len(places) == len(found) else found[np.ix_(places, places)]


@dataclass(frozen=True, kw_only=True)
class _Solution:
    """A regression: weights of the measured classes, on a scale around `middle`; the typical error of the
    logarithm when each class is left out."""

    weights: Floats
    middle: float
    spread: float
    error: float


def _solved(scale: _Transform, inverse: Floats, values: Floats) -> _Solution:
    """The regression on the classes' values, by the inverse of their kernel."""
    scaled = scale.to(values)
    middle, spread = float(scaled.mean()), float(scaled.std())
    weights: Floats = inverse @ ((scaled - middle) / spread)
    guessed = scale.back(scaled - spread * weights / np.diag(inverse))
    wrong = np.abs(np.log(np.maximum(guessed, values.min() / BEYOND)) - np.log(values))
    error = float(TO_DEVIATION * np.median(wrong) + 0.1 * wrong.mean())
    return _Solution(weights=weights, middle=middle, spread=spread, error=error)
