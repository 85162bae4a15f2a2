"""How alike the classes of candidates are to those that were measured, summed without looking at every pair.

A class is its one-hot axes. Two classes share axes in the first part of the columns and in the rest, and each
part has few different forms where a space has (nearly) all combinations: what a sum over the measured classes
comes to is worked out for the forms of both parts, and read off for each class. Where it has not, the second
part is empty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..record.arrays import Floats, Integers

RATE = 0.7
"""How fast classes grow apart with each axis that differs, where all axes count at once."""
FULL = 2.0
"""Two parts are told apart where their combinations are at most so many times the classes."""


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """Weights of what makes classes alike: axes shared `alone`, in `pairs`, all at once (`whole`), and how
    often each choice occurs (`counts`); `noise` is the variance of a value by itself."""

    alone: float
    pairs: float
    whole: float
    counts: float
    noise: float


class MeasuredClasses:
    """The latest `most` classes that were measured, each at a place; a new one takes that of the oldest.

    `features` [classes, one-hot columns] describe `axes` axes, `counts` [classes, choices] how often each
    choice occurs.
    """

    def __init__(self, features: Floats, axes: int, counts: Floats, most: int) -> None:
        self.rows: list[int] = []
        self._most, self._learned = most, 0
        self._features, self._axes = features, max(1, axes)
        cut = _cut(features)
        self._left = _Part(features[:, :cut], most)
        self._right = _Part(features[:, cut:], most)
        self._combined = self._left.of * len(self._right.features) + self._right.of
        # Of all axes at once, what the parts leave over.
        self._rest = float(np.exp(RATE * (self._left.most + self._right.most - self._axes)))
        self._counts, self._counted = np.unique(counts, axis=0, return_inverse=True)
        self._alike = np.zeros((most, len(self._counts)))
        self.counting = bool(counts.shape[1])

    def add(self, row: int) -> None:
        """A class that was measured; one that was before keeps its place."""
        if row in self.rows:
            return
        place = self._learned % self._most
        self._learned += 1
        self.rows[place : place + 1] = [row]
        self._left.add(place, row)
        self._right.add(place, row)
        if self.counting:
            apart = ((self._counts - self._counts[self._counted[row]]) ** 2).sum(axis=1)
            self._alike[place] = np.exp(-apart / 8)

    def near(self, form: Likeness, places: Integers, others: Integers) -> Floats:
        """[places, others] the likeness of measured classes."""
        rows = np.array(self.rows)
        share = self._features[rows[places]] @ self._features[rows[others]].T / self._axes
        found: Floats = (form.pairs * share + form.alone) * share
        if form.whole:
            found += form.whole * np.exp(RATE * self._axes * (share - 1))
        if form.counts:
            found += form.counts * self._alike[places][:, self._counted[rows[others]]]
        return found

    def weighted(self, form: Likeness, weights: Floats) -> Floats:
        """[classes] the sum over the measured ones, each times its weight and its likeness to the class."""
        count, left, right = len(self.rows), self._left, self._right
        mine, others = (part.features[part.of[self.rows]] for part in (left, right))
        alone, pairs = form.alone / self._axes, form.pairs / self._axes**2
        of_left, of_right = (
            part.features @ (alone * (weights @ told)) + pairs * _squared(part.features, told, weights)
            for part, told in ((left, mine), (right, others))
        )
        table = of_left[:, None] + of_right
        table += left.features @ (2 * pairs * (mine.T * weights) @ others) @ right.features.T
        if form.whole:
            table += (left.near[:count].T * (form.whole * self._rest * weights)) @ right.near[:count]
        found: Floats = np.take(table, self._combined)
        if form.counts:
            found += (form.counts * weights @ self._alike[:count])[self._counted]
        return found


class _Part:
    """Some of the columns: the different forms that they take, `of` [classes] the form of each, and `near`
    [places, forms] how near each is to the measured classes where all of these axes count at once."""

    def __init__(self, features: Floats, most: int) -> None:
        self.features, self.of = np.unique(features, axis=0, return_inverse=True)
        self.most = float(self.features.sum(axis=1).max(initial=0.0))
        self.near = np.zeros((most, len(self.features)))

    def add(self, place: int, row: int) -> None:
        shared = self.features @ self.features[self.of[row]]
        self.near[place] = np.exp(RATE * (shared - self.most))


def _squared(features: Floats, told: Floats, weights: Floats) -> Floats:
    """[features] the sum over `told`, each times its weight and the square of the axes shared."""
    found: Floats = np.einsum("ij,ij->i", features @ ((told.T * weights) @ told), features)
    return found


def _cut(features: Floats) -> int:
    """How many columns make up the first part."""
    classes, columns = features.shape
    codes = np.random.default_rng(0).integers(1, 1 << 40, columns)
    first = np.cumsum(features.astype(np.int64) * codes, axis=1)
    found: list[tuple[int, int]] = [(classes + 1, columns)]
    for cut in range(1, columns):
        left, right = (len(np.unique(part)) for part in (first[:, cut - 1], first[:, -1] - first[:, cut - 1]))
        if left * right <= FULL * classes:
            found.append((left + right, cut))
    return min(found)[1]
