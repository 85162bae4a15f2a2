"""The inverse of a matrix of which a row and its column change now and then."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg.blas import dger
from scipy.linalg.lapack import dpotrf, dpotri

from ..record.arrays import Floats, Integers

MANY, SHARE = 8, 0.25
"""Where more rows than these, or than such a share, have changed, all is worked out anew."""
MOST_CHANGES = 128
"""After so many changes, so that their roundings do not add up."""

Kernel = Callable[[Integers, Integers], Floats]
"""[places, others] entries of the matrix, without what is added to the diagonal."""


class KeptInverse:
    """Of kernel + `noise` over the places that hold something; rows of the others are zero.

    Each exchange takes the square of the rows in place of the cube (a bordered inverse, Golub and Van Loan).
    """

    def __init__(self, noise: float) -> None:
        self.noise = noise
        self.matrix = np.zeros((0, 0))
        self._held = np.empty(0, dtype=np.int64)
        self._changes = 0

    def follow(self, held: Integers, kernel: Kernel) -> Floats:
        """The inverse for what the places hold now: a number for each, -1 for nothing."""
        before = np.full(len(held), -1)
        before[: len(self._held)] = self._held[: len(held)]
        changed = np.flatnonzero(before != held)
        self._changes += len(changed)
        if len(changed) > max(MANY, SHARE * len(held)) or self._changes > MOST_CHANGES:
            self._anew(held, kernel)
        elif len(changed):
            self._exchange(before, held, changed, kernel)
        self._held = held.copy()
        return self.matrix

    def _anew(self, held: Integers, kernel: Kernel) -> None:
        places = np.flatnonzero(held >= 0)
        self.matrix = np.zeros((len(held), len(held)))
        self.matrix[np.ix_(places, places)] = inverse_of(kernel(places, places), self.noise)
        self._changes = 0

    def _exchange(self, before: Integers, held: Integers, changed: Integers, kernel: Kernel) -> None:
        size = len(self.matrix)
        if size < len(held):
            grown = np.zeros((len(held), len(held)))
            grown[:size, :size] = self.matrix
            self.matrix = grown
        for place in changed:
            if before[place] >= 0:
                self._add(self.matrix[place].copy(), -1.0 / self.matrix[place, place])
                self.matrix[place] = self.matrix[:, place] = 0.0
        there = np.where(np.isin(np.arange(len(held)), changed), -1, held)
        for place in changed[held[changed] >= 0]:
            there[place] = held[place]
            self._border(int(place), np.flatnonzero(there >= 0), kernel)

    def _border(self, place: int, places: Integers, kernel: Kernel) -> None:
        column = np.zeros(len(self.matrix))
        column[places] = kernel(np.array([place]), places)[0]
        own, column[place] = column[place] + self.noise, 0.0
        solved = self.matrix @ column
        rest = own - column @ solved
        self._add(solved, 1.0 / rest)
        self.matrix[place] = self.matrix[:, place] = -solved / rest
        self.matrix[place, place] = 1.0 / rest

    def _add(self, vector: Floats, times: float) -> None:
        """The vector times itself, in place: transposed, the matrix lies as the routine wants it."""
        self.matrix = dger(times, vector, vector, a=self.matrix.T, overwrite_a=1).T


def inverse_of(kernel: Floats, noise: float) -> Floats:
    """The inverse of a kernel with this noise.

    Raises:
        LinAlgError: it has none, which a kernel with noise cannot come to.
    """
    factor, failed = dpotrf(kernel + noise * np.eye(len(kernel)), lower=1)
    if failed:
        raise np.linalg.LinAlgError(f"a kernel of {len(kernel)} rows is not positive definite")
    lower: Floats = np.tril(dpotri(factor, lower=1)[0])
    return lower + np.tril(lower, -1).T
