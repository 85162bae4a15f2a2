"""Factors of all situations from what was measured: the most likely ones, and how sure they are.

The logarithm of a latency is that of a sum of terms, each with its factor, and a rest of which models with
like shares of terms have a part in common. Gauss-Newton steps of a Gaussian process: each takes the logarithm
as linear where the last one ended. What lies far off counts less (Student's t).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from .prior import prior
from .situation import Situation
from .terms import TERMS, USUAL, Floats

STEPS, LARGEST_STEP, SMALLEST_STEP = 60, 1.0, 1e-3
FREEDOM = 4.0  # of Student's t
REST, REST_WEIGHT = 0.08, 6.0
"""Standard deviation of the rest before anything was measured, and for how many measurements that counts."""
COMMON_SHARE = 0.5
"""Of the rest's variance: what models with like shares of terms have in common."""
LIKENESS = 0.25


@dataclass(frozen=True, kw_only=True)
class Points:
    """Models on situations: [points, TERMS] milliseconds at stated speeds, and the situation's place."""

    terms: Floats
    places: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class _Linear:
    """A logarithm as linear in the factors: values, and slopes, which are the shares of the terms."""

    values: Floats
    shares: Floats


class Fit:
    """Fitted to `logs`, logarithms of milliseconds, of `points`; situations are known by their places."""

    def __init__(self, situations: Sequence[Situation], points: Points, logs: Floats) -> None:
        self._points, self._logs = points, logs
        self._prior = prior(situations)
        self._situations = len(situations)
        self._factors = np.tile(USUAL, (self._situations, 1))
        self.spread = np.full(self._situations, REST)
        self.freedom = np.full(self._situations, REST_WEIGHT)
        self._weights = np.ones(len(logs))
        if len(logs):
            self._climb()

    def _climb(self) -> None:
        for _ in range(STEPS):
            step = self._wanted() - self._factors
            largest = float(np.abs(step).max())
            self._factors = self._factors + step * min(1.0, LARGEST_STEP / max(largest, 1e-12))
            self._look_at_rests()
            if largest < SMALLEST_STEP:
                break
        self._wanted()

    def _wanted(self) -> Floats:
        """Where the Gaussian process of the linear model has its mean."""
        self._at = self._linear(self._points)
        self._slopes = self._spread_out(self._at, self._points.places)
        self._known = cho_factor(self._covariance(), lower=True)
        offset = self._slopes @ (self._factors - USUAL).ravel()
        self._pull = cho_solve(self._known, self._logs - self._at.values + offset)
        found: Floats = USUAL + (self._prior @ (self._slopes.T @ self._pull)).reshape(self._factors.shape)
        return found

    def _covariance(self) -> Floats:
        places, spread = self._points.places, self.spread[self._points.places]
        found = self._slopes @ self._prior @ self._slopes.T
        found += _common(self._at.shares, places, self._at.shares, places) * np.outer(spread, spread)
        found[np.diag_indices_from(found)] += (1 - COMMON_SHARE) * spread**2 / self._weights
        return found

    def _linear(self, points: Points) -> _Linear:
        parts = points.terms * np.exp(self._factors)[points.places]
        whole = parts.sum(axis=1)
        return _Linear(values=np.log(whole), shares=parts / whole[:, None])

    def _spread_out(self, at: _Linear, places: NDArray[np.int64]) -> Floats:
        """[points, situations x TERMS] slopes."""
        found = np.zeros((len(places), self._situations, len(TERMS)))
        found[np.arange(len(places)), places] = at.shares
        return found.reshape(len(places), -1)

    def _look_at_rests(self) -> None:
        """How far off the measurements of each situation are, and so how much each of them counts."""
        rests = self._logs - self._linear(self._points).values
        places = self._points.places
        squared = (rests / self.spread[places]) ** 2
        self._weights = np.minimum(1.0, (FREEDOM + 1) / (FREEDOM + squared))
        of_situation = _sums(places, self._weights * rests**2, self._situations)
        count = _sums(places, np.ones(len(places)), self._situations)
        usual = self._usual_rest(of_situation, count)
        self.freedom = REST_WEIGHT + count
        self.spread = np.sqrt((REST_WEIGHT * usual**2 + of_situation) / self.freedom)

    def _usual_rest(self, of_situation: Floats, count: Floats) -> float:
        """The rest of a situation of which little is known: as that of those that are known."""
        own = np.sqrt(of_situation / np.maximum(count, 1))
        sure = count / (count + REST_WEIGHT)
        return float(np.exp((np.log(REST) + sure @ np.log(np.maximum(own, 1e-3))) / (1 + sure.sum())))

    def predicted(self, points: Points) -> tuple[Floats, Floats]:
        """Logarithms of latencies, and standard deviations of these."""
        at = self._linear(points)
        slopes = self._spread_out(at, points.places)
        spread = self.spread[points.places]
        variance = np.einsum("ij,jk,ik->i", slopes, self._prior, slopes, optimize=True) + spread**2
        if not len(self._logs):
            return at.values, np.sqrt(variance)
        own = self._points.places
        shared = slopes @ self._prior @ self._slopes.T
        shared += _common(at.shares, points.places, self._at.shares, own) * np.outer(spread, self.spread[own])
        told = cho_solve(self._known, shared.T)
        moved = slopes @ (self._factors - USUAL).ravel()
        logs = at.values - moved + shared @ self._pull
        return logs, np.sqrt(np.maximum(variance - np.einsum("ij,ji->i", shared, told), 1e-8))


def _common(a: Floats, of_a: NDArray[np.int64], b: Floats, of_b: NDArray[np.int64]) -> Floats:
    """Correlation of the rests of two sets of points: those of one situation with like shares resemble."""
    apart = ((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2)
    same = of_a[:, None] == of_b[None, :]
    found: Floats = COMMON_SHARE * same * np.exp(-apart / (2 * LIKENESS**2))
    return found


def _sums(places: NDArray[np.int64], values: Floats, situations: int) -> Floats:
    """What the points of each situation add up to."""
    return np.bincount(places, values, situations).astype(np.float64)
