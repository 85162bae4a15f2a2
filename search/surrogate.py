"""A model of quality over candidates: Gaussian processes on axes, capacity and number formats.

The kernel is a sum of parts, each on similarities that mean something for compressed models: how many axes
two models share (alone, in pairs, all at once), how often each choice occurs, how large they are, and how
they are deployed. Which parts matter is not known beforehand, so several settings are drawn from a prior and
those that explain the data best are mixed by their evidence (Rasmussen and Williams 2006, chapters 2 and 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SETTINGS, KEPT = 96, 6
JITTER = 1e-6
PRIOR_WEIGHT = 3.0  # of the prior on the signal's variance, in observations
SURPRISE, EXCUSED, LEAST_FOR_OUTLIERS = 1.0, 200.0, 8
"""Standard deviations beyond which a value is an outlier; the noise it gets then; from so many rows on."""
SMOOTHING, LEAST_CHANCE = 0.3, 0.1
SHARPNESS, DOUBT = 4, 2.0
"""Neighbours count by this power of their correlation; so many more were as far off as predicted."""
ROUNDS, CHILDREN, STEP = 2, 8, 0.4
RELEVANCE = 1.0
"""The best settings are varied so many times, by steps of so many prior standard deviations."""
REFIT_GROWTH = 1.1  # settings are chosen anew when so many times the data is there


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Candidates as numbers, a row each.

    `model` and `deploy` hold each axis one-hot, side by side; `model_axes` and `deploy_axes` say how many
    axes that are. `groups` are further features of the model, each [rows, features] on a scale of about 1.
    """

    model: Floats
    model_axes: int
    deploy: Floats
    deploy_axes: int
    groups: tuple[Floats, ...] = ()

    def __len__(self) -> int:
        return len(self.model)

    def take(self, rows: NDArray[np.int64] | Sequence[int]) -> Inputs:
        """Some of the rows."""
        index = np.asarray(rows, dtype=np.int64)
        groups = tuple(group[index] for group in self.groups)
        return replace(self, model=self.model[index], deploy=self.deploy[index], groups=groups)


@dataclass(frozen=True, kw_only=True)
class _Setting:
    """One draw of the kernel's weights (of the sum's parts), rates, lengths and noise.

    `draw` are the standard normal numbers that it was made from.
    """

    draw: tuple[float, ...]
    orders: tuple[float, float, float]
    rate: float
    group_weights: tuple[float, ...]
    group_lengths: tuple[float, ...]
    relevances: tuple[tuple[float, ...], ...]
    deploy_rate: float
    deploy_weight: float
    interaction: float
    noise: float


@cache
def _prior(widths: tuple[int, ...], count: int = SETTINGS) -> tuple[_Setting, ...]:
    """Settings spread evenly over the prior (a scrambled Sobol sequence); `widths`: features per group."""
    from scipy.stats import norm, qmc

    uniform = qmc.Sobol(_numbers(widths), seed=0).random(1 << (count - 1).bit_length())[:count]
    z = norm.ppf(np.clip(uniform, 1e-4, 1 - 1e-4))
    return tuple(_setting(row, widths) for row in z)


def _numbers(widths: tuple[int, ...]) -> int:
    return 8 + 2 * len(widths) + sum(widths)


def _setting(z: Floats, widths: tuple[int, ...]) -> _Setting:
    groups = len(widths)
    weights, lengths = np.exp(0.9 * z[8 : 8 + groups]), 1.2 * np.exp(0.6 * z[8 + groups : 8 + 2 * groups])
    # How much each feature of a group matters: some choices decide the quality, others hardly touch it.
    matter = np.split(np.exp(RELEVANCE * z[8 + 2 * groups :]), np.cumsum(widths)[:-1])
    return _Setting(
        draw=tuple(map(float, z)),
        orders=(float(np.exp(0.9 * z[0])), float(np.exp(0.9 * z[1])), float(np.exp(0.9 * z[2]))),
        rate=float(0.7 * np.exp(0.6 * z[3])),
        group_weights=tuple(map(float, weights)),
        group_lengths=tuple(map(float, lengths)),
        relevances=tuple(tuple(map(float, row)) for row in matter) if groups else (),
        deploy_rate=float(0.7 * np.exp(0.6 * z[4])),
        deploy_weight=float(0.15 * np.exp(1.0 * z[5])),
        interaction=float(0.15 * np.exp(1.0 * z[6])),
        noise=float(0.02 * np.exp(1.0 * z[7])),
    )


@dataclass(frozen=True, kw_only=True)
class _Similarity:
    """What the kernel needs of each pair of rows, whatever the setting."""

    differing: Floats  # axes of the model that differ
    axes: int
    groups: tuple[tuple[Floats, Floats], ...]  # features of both sides
    deploy_differing: Floats


def _similarity(a: Inputs, b: Inputs) -> _Similarity:
    return _Similarity(
        differing=np.maximum(a.model_axes - a.model @ b.model.T, 0.0),
        axes=max(1, a.model_axes),
        groups=tuple(zip(a.groups, b.groups, strict=True)),
        deploy_differing=np.maximum(a.deploy_axes - a.deploy @ b.deploy.T, 0.0),
    )


def _squares(a: Floats, b: Floats) -> Floats:
    cross: Floats = (a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2 * a @ b.T
    return np.maximum(cross, 0.0)


def _kernel(near: _Similarity, setting: _Setting) -> Floats:
    """Prior correlation of each pair; 1 for a pair of equal rows. A constant of 1 is added by the caller."""
    share = 1 - near.differing / near.axes
    first, second, whole = setting.orders
    everything = setting.rate * near.differing
    total = first * share + second * share**2
    features = zip(near.groups, setting.group_weights, setting.group_lengths, setting.relevances, strict=True)
    for (a, b), weight, length, matter in features:
        factor = np.array(matter) / length
        scaled = _squares(a * factor, b * factor)
        total += weight * np.exp(-0.5 * scaled)
        everything = everything + scaled / 8
    total += whole * np.exp(-everything)
    total /= sum(setting.orders) + sum(setting.group_weights)
    deployed = np.exp(-setting.deploy_rate * near.deploy_differing)
    total = total * (1 + setting.interaction * deployed) + setting.deploy_weight * deployed
    found: Floats = total / (1 + setting.interaction + setting.deploy_weight)
    return found


@dataclass(frozen=True, kw_only=True)
class _Fitted:
    """One setting after the data: `factor` is the Cholesky factor, `solved` = factor^-1 y."""

    setting: _Setting
    factor: Floats
    solved: Floats
    variance: float
    weight: float


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Mixtures of normal distributions: `means` and `deviations` [parts, rows], `weights` [parts]."""

    means: Floats
    deviations: Floats
    weights: Floats

    def take(self, rows: NDArray[np.int64]) -> Prediction:
        """Some of the rows."""
        return replace(self, means=self.means[:, rows], deviations=self.deviations[:, rows])

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


class Surrogate:
    """Quality over candidates, learned from rows whose quality is known."""

    def __init__(self) -> None:
        self._inputs: Inputs | None = None
        self._parts: tuple[_Fitted, ...] = ()
        self._settings: tuple[_Setting, ...] = ()
        self._fitted_rows = 0
        self._centre, self._scale = 0.0, 1.0
        self._values = np.empty(0)
        self.outlying: NDArray[np.bool_] = np.zeros(0, dtype=bool)

    def fit(self, inputs: Inputs, values: Floats, noise: Floats, spread: float) -> None:
        """Learn from rows. `noise` is each value's own extra variance relative to the model's own noise (1:
        nothing extra); `spread` the least standard deviation that values are taken to have.

        Values far above what all others predict (lower is better here) are put down to something that did
        not work; they are excused, and counted against the chance to work of their neighbours instead, see
        `chance`. Otherwise they would make every prediction near them unsure in both directions.
        """
        self._inputs, rows = inputs, len(values)
        self._centre, self._scale = float(values.mean()), max(float(values.std()), spread)
        self._values = (values - self._centre) / self._scale
        near, widths = _similarity(inputs, inputs), tuple(group.shape[1] for group in inputs.groups)
        if self._settings and tuple(map(len, self._settings[0].relevances)) != widths:
            self._settings, self._fitted_rows = (), 0  # a feature is known now that was not before
        anew = rows >= self._fitted_rows * REFIT_GROWTH or rows < self._fitted_rows or rows <= 24
        self._fitted_rows = rows if anew else self._fitted_rows
        self.outlying = np.zeros(rows, dtype=bool)
        self._choose(near, noise, _prior(widths) if anew else ())
        for _ in range(ROUNDS):
            if rows >= LEAST_FOR_OUTLIERS:
                self.outlying = self._surprises() > SURPRISE
            excused = np.where(self.outlying, EXCUSED, noise)
            self._choose(near, excused, self._varied(widths, rows) if anew else ())

    def _varied(self, widths: tuple[int, ...], rows: int) -> tuple[_Setting, ...]:
        """Settings near those that explained the data best so far: the search goes on from fit to fit."""
        rng = np.random.default_rng(rows)
        return tuple(
            _setting(np.array(setting.draw) + STEP * rng.standard_normal(_numbers(widths)), widths)
            for setting in self._settings
            for _ in range(CHILDREN)
        )

    def _choose(self, near: _Similarity, noise: Floats, prior: Sequence[_Setting]) -> None:
        """Keep the settings with the most evidence, of the prior's and of those kept before."""
        settings = dict.fromkeys((*prior, *self._settings))
        tried = [self._condition(near, setting, noise) for setting in settings]
        best = sorted(tried, key=lambda part: -part.weight)[:KEPT]
        evidence = np.exp([part.weight - best[0].weight for part in best])
        shares = evidence / evidence.sum()
        self._parts = tuple(replace(p, weight=float(w)) for p, w in zip(best, shares, strict=True))
        self._settings = tuple(part.setting for part in best)

    def _surprises(self) -> Floats:
        """How many standard deviations each value lies above what the others predict."""
        total = np.zeros(len(self._values))
        for part in self._parts:
            inverse = self._inverse(part)
            total += part.weight * (inverse @ self._values) / np.sqrt(np.diag(inverse) * part.variance)
        return total

    def _inverse(self, part: _Fitted) -> Floats:
        from scipy.linalg import cho_solve

        found: Floats = cho_solve((part.factor, True), np.eye(len(self._values)), check_finite=False)
        return found

    def nearby(self, inputs: Inputs) -> tuple[Floats, Floats]:
        """What known neighbours tell beside their values, smoothed by the likeliest kernel, both [rows].

        First the share of them that were no outliers: the chance to work. Second a factor for deviations:
        how far sound neighbours were from what the others predicted of them, in the deviations predicted
        then. One variance for all makes predictions on a plateau too hopeful, however well it is known.
        """
        rows = len(inputs)
        if self._inputs is None or len(self._values) < LEAST_FOR_OUTLIERS:
            return np.ones(rows), np.ones(rows)
        setting = self._parts[0].setting
        cross = _kernel(_similarity(self._inputs, inputs), setting)
        sound = (~self.outlying).astype(float)
        chance = np.ones(rows)
        if self.outlying.any():
            inner = _kernel(_similarity(self._inputs, self._inputs), setting)
            solved = np.linalg.solve(inner + SMOOTHING * np.eye(len(sound)), sound - sound.mean())
            chance = np.clip(sound.mean() + cross.T @ solved, LEAST_CHANCE, 1.0)
        near = (np.clip(cross, 0.0, 1.0) ** SHARPNESS) * sound[:, None]
        missed = np.minimum(self._surprises() ** 2, 9.0)
        factor = np.sqrt((DOUBT + missed @ near) / (DOUBT + near.sum(axis=0)))
        return chance, factor

    def _condition(self, near: _Similarity, setting: _Setting, noise: Floats) -> _Fitted:
        from scipy.linalg import cholesky, solve_triangular

        rows = len(self._values)
        covariance = _kernel(near, setting) + 1.0 + np.diag(setting.noise * noise + JITTER)
        factor = cholesky(covariance, lower=True, check_finite=False)
        solved = solve_triangular(factor, self._values, lower=True, check_finite=False)
        # The signal's variance is integrated out under an inverse-gamma prior around 1.
        variance = float((solved @ solved + PRIOR_WEIGHT) / (rows + PRIOR_WEIGHT))
        evidence = -0.5 * (rows + PRIOR_WEIGHT) * np.log(variance) - np.log(np.diag(factor)).sum()
        evidence -= 0.5 * float(np.square(setting.draw).sum())
        return _Fitted(
            setting=setting, factor=factor, solved=solved, variance=variance, weight=float(evidence)
        )

    def predict(self, inputs: Inputs, parts: int | None = None) -> Prediction:
        """What is expected of other rows; `parts`: of the most likely settings alone."""
        from scipy.linalg import solve_triangular

        assert self._inputs is not None
        near, used = _similarity(self._inputs, inputs), self._parts[:parts]
        means, deviations = [], []
        for part in used:
            cross = _kernel(near, part.setting) + 1.0
            inner = solve_triangular(part.factor, cross, lower=True, check_finite=False)
            means.append(self._centre + self._scale * (inner.T @ part.solved))
            left = np.maximum(2.0 - (inner**2).sum(0), JITTER) * part.variance
            deviations.append(self._scale * np.sqrt(left))
        weights = np.array([part.weight for part in used])
        return Prediction(
            means=np.array(means), deviations=np.array(deviations), weights=weights / weights.sum()
        )

    def left_out(self) -> tuple[Floats, Floats]:
        """Each known row as predicted from all others: means, and the values themselves (chapter 5.4.2)."""
        total = np.zeros(len(self._values))
        for part in self._parts:
            inverse = self._inverse(part)
            total += part.weight * (self._values - (inverse @ self._values) / np.diag(inverse))
        return self._centre + self._scale * total, self._centre + self._scale * self._values
