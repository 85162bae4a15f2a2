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
from .rests import NORMAL_REACH, Rests
from .situation import Situation
from .terms import USUAL, Floats

STEPS, LARGEST_STEP, SMALLEST_STEP = 60, 1.0, 1e-3
COMMON_SHARE = 0.5
"""Of the rest's variance: what models with like shares of terms have in common."""
LIKENESS = 0.25
TINY = 1e-8


@dataclass(frozen=True, kw_only=True)
class Points:
    """Models in situations: [points, TERMS] milliseconds at stated speeds, and the situation's place."""

    terms: Floats
    places: NDArray[np.int64]

    def of(self, which: NDArray[np.int64]) -> Points:
        """Some of the points."""
        return Points(terms=self.terms[which], places=self.places[which])


@dataclass(frozen=True, kw_only=True)
class _Linear:
    """Logarithms as linear in the factors: [points] values; [points, TERMS] shares, which are the slopes."""

    values: Floats
    shares: Floats
    slopes: Floats  # the shares at the places of all situations: [points, situations x TERMS]


class Fit:
    """Fitted to `logs`, logarithms of milliseconds, of `points`; situations are known by their places."""

    def __init__(self, situations: Sequence[Situation], points: Points, logs: Floats) -> None:
        self._points, self._logs = points, logs
        self._prior = prior(situations)
        self._factors = np.tile(USUAL, (len(situations), 1))
        self._rests = Rests(points.places, len(situations))
        if len(logs):
            self._climb()

    def _climb(self) -> None:
        for _ in range(STEPS):
            step = self._wanted() - self._factors
            largest = float(np.abs(step).max())
            self._factors = self._factors + step * min(1.0, LARGEST_STEP / max(largest, TINY))
            self._rests.look(*self._left_out())
            if largest < SMALLEST_STEP:
                break
        self._wanted()
        self._rests.look_at_tails(self._left_out()[0])

    def _wanted(self) -> Floats:
        """Where the Gaussian process of the linear model has its mean."""
        self._at = self._linear(self._points)
        self._known = cho_factor(self._covariance_of_measured(), lower=True)
        self._pull = cho_solve(self._known, self._logs - self._at_usual(self._at))
        found: Floats = USUAL + (self._prior @ (self._at.slopes.T @ self._pull)).reshape(self._factors.shape)
        return found

    def _covariance_of_measured(self) -> Floats:
        spread = self._rests.spread[self._points.places]
        found = self._shared(self._at, self._points.places)
        found[np.diag_indices_from(found)] += (1 - COMMON_SHARE) * spread**2 / self._rests.weights
        return found

    def _left_out(self) -> tuple[Floats, Floats]:
        """How far off each measurement is when all others tell of it, in standard deviations; and which share
        of that variance is the rest's."""
        inverse = np.diag(cho_solve(self._known, np.eye(len(self._logs))))
        noise = (1 - COMMON_SHARE) * self._rests.spread[self._points.places] ** 2
        variance = np.maximum(1 / inverse - noise / self._rests.weights + noise, TINY)
        whole = self._rests.spread[self._points.places] ** 2
        return self._pull / inverse / np.sqrt(variance), np.minimum(1.0, whole / variance)

    def _linear(self, points: Points) -> _Linear:
        parts = points.terms * np.exp(self._factors)[points.places]
        whole = parts.sum(axis=1)
        shares = parts / whole[:, None]
        slopes = np.zeros((len(parts), *self._factors.shape))
        slopes[np.arange(len(parts)), points.places] = shares
        return _Linear(values=np.log(whole), shares=shares, slopes=slopes.reshape(len(parts), -1))

    def _at_usual(self, at: _Linear) -> Floats:
        """What the linear model gives where all factors are the usual ones."""
        return at.values - at.slopes @ (self._factors - USUAL).ravel()

    def _shared(self, at: _Linear, places: NDArray[np.int64]) -> Floats:
        """[points, measured] covariance before anything was measured."""
        return self._covariance(at, places, self._at, self._points.places)

    def _covariance(self, a: _Linear, of_a: NDArray[np.int64], b: _Linear, of_b: NDArray[np.int64]) -> Floats:
        """Of two sets of points: by factors, and by the rests that like models in one situation share."""
        apart = ((a.shares[:, None, :] - b.shares[None, :, :]) ** 2).sum(axis=2)
        same = of_a[:, None] == of_b[None, :]
        rests = np.outer(self._rests.spread[of_a], self._rests.spread[of_b])
        found: Floats = a.slopes @ self._prior @ b.slopes.T
        found += COMMON_SHARE * same * rests * np.exp(-apart / (2 * LIKENESS**2))
        return found

    def predicted(self, points: Points) -> tuple[Floats, Floats]:
        """Logarithms of latencies, and half the width of an interval that covers as many as wanted."""
        at = self._linear(points)
        spread, reach = self._rests.spread[points.places], self._rests.reach[points.places]
        variance = np.einsum("ij,ij->i", at.slopes @ self._prior, at.slopes) + spread**2
        if not len(self._logs):
            return at.values, reach * np.sqrt(variance)
        shared = self._shared(at, points.places)
        told = cho_solve(self._known, shared.T)
        variance = np.maximum(variance - np.einsum("ij,ji->i", shared, told), TINY)
        return self._at_usual(at) + shared @ self._pull, reach * np.sqrt(variance)

    def cases(self, points: Points, own: Floats) -> Floats:
        """[points, cases] logarithms of latencies as they may be, all of them in the same cases: what is not
        known of the device is alike for all. `own` are [points, cases] standard normal numbers."""
        count = own.shape[1]
        random = np.random.default_rng(0)  # the same cases whenever they are asked for
        factors = random.standard_normal((count, len(self._prior)))
        seen = random.standard_normal((count, len(self._logs)))
        of_factors = factors @ np.linalg.cholesky(self._prior + TINY * np.eye(len(self._prior))).T
        at, spread = self._linear(points), self._rests.spread
        told, shared = np.zeros((0, count)), np.zeros((len(own), 0))
        if len(self._logs):
            there = of_factors @ self._at.slopes.T + spread[self._points.places] * seen
            shared = self._shared(at, points.places)
            told = self._pull[:, None] - cho_solve(self._known, there.T)
        found = at.slopes @ of_factors.T + spread[points.places][:, None] * own + shared @ told
        middle, reach = self.predicted(points)
        logs = self._at_usual(at)[:, None] + found
        wide = logs - logs.mean(axis=1, keepdims=True)
        wide *= (reach / NORMAL_REACH / np.maximum(wide.std(axis=1), TINY))[:, None]
        whole: Floats = middle[:, None] + wide
        return whole

    def together(self, points: Points) -> tuple[Floats, Floats]:
        """[points, points] covariance of what is not known of points, and the variance of one measurement."""
        at = self._linear(points)
        found = self._covariance(at, points.places, at, points.places)
        if len(self._logs):
            shared = self._shared(at, points.places)
            found -= shared @ cho_solve(self._known, shared.T)
        return found, (1 - COMMON_SHARE) * self._rests.spread[points.places] ** 2
