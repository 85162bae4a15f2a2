"""How alike candidates are: the kernel of the model of quality, and the settings that it may have.

The kernel is a sum of parts, each on similarities that mean something for compressed models: how many axes
two models share (alone, in pairs, all at once), how often each choice occurs, how large they are, and how
they are deployed. Which parts matter is not known beforehand: settings are drawn from a prior.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

import numpy as np
from scipy.special import ndtri

from ..record.arrays import Floats, Integers

RELEVANCE = 1.0
"""Spread of how much each feature matters, as a logarithm."""
LEFT_OUT = 1 / 3
"""In so many settings a group of features plays no part, so that the evidence can tell that it is no use."""
SHARED = 0.6
"""Rows are compared by their models where there are so many times fewer of these."""


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Candidates as numbers.

    `model` and `deploy` hold each axis one-hot, side by side; `model_axes` and `deploy_axes` say how many
    axes that are. `groups` are further features of the models, each [models, features] on a scale of about 1.
    `model_of` and `deploy_of` [rows] name each candidate's row in these; left out, every row is a candidate.
    """

    model: Floats
    model_axes: int
    deploy: Floats
    deploy_axes: int
    groups: tuple[Floats, ...] = ()
    model_of: Integers | None = None
    deploy_of: Integers | None = None

    def __len__(self) -> int:
        return len(self.models)

    @property
    def models(self) -> Integers:
        """[rows] the place of each candidate's model."""
        return np.arange(len(self.model)) if self.model_of is None else self.model_of

    @property
    def deployments(self) -> Integers:
        """[rows] the place of each candidate's deployment."""
        return np.arange(len(self.deploy)) if self.deploy_of is None else self.deploy_of

    @property
    def widths(self) -> tuple[int, ...]:
        """Features per group."""
        return tuple(group.shape[1] for group in self.groups)

    def take(self, rows: Integers | Sequence[int] | slice) -> Inputs:
        """Some of the rows."""
        index = rows if isinstance(rows, slice) else np.asarray(rows, dtype=np.int64)
        return replace(self, model_of=self.models[index], deploy_of=self.deployments[index])

    def and_rows(self, others: Inputs) -> Inputs:
        """These rows, and other ones of the same inputs."""
        models = np.concatenate([self.models, others.models])
        return replace(
            self, model_of=models, deploy_of=np.concatenate([self.deployments, others.deployments])
        )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Weights of the kernel's parts, rates, lengths and noise, each [settings], from standard normal `draws`
    [settings, numbers]; `widths`: features per group."""

    draws: Floats
    widths: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.draws)

    def take(self, which: Integers | Sequence[int] | slice) -> Settings:
        """Some of them."""
        return replace(self, draws=self.draws[which])

    def and_others(self, others: Settings) -> Settings:
        """These, and those of the others that are not among them."""
        new = [not (self.draws == draw).all(axis=1).any() for draw in others.draws]
        return replace(self, draws=np.concatenate([self.draws, others.draws[new]]))

    def varied(self, times: int, step: float, seed: int) -> Settings:
        """Each of them so many times, changed by normal steps of so many prior deviations."""
        steps = np.random.default_rng(seed).standard_normal((times * len(self), self.draws.shape[1]))
        return replace(self, draws=np.repeat(self.draws, times, axis=0) + step * steps)

    @property
    def orders(self) -> Floats:
        """[settings, 3] weights of axes shared alone, in pairs and all at once."""
        found: Floats = np.exp(0.9 * self.draws[:, :3])
        return found

    @property
    def rate(self) -> Floats:
        """How fast models grow apart with each axis that differs."""
        found: Floats = 0.7 * np.exp(0.6 * self.draws[:, 3])
        return found

    @property
    def deployed(self) -> tuple[Floats, Floats, Floats]:
        """The deployment's rate, its own weight, and its weight together with the model."""
        z = self.draws
        return 0.7 * np.exp(0.6 * z[:, 4]), 0.15 * np.exp(z[:, 5]), 0.15 * np.exp(z[:, 6])

    @property
    def noise(self) -> Floats:
        """Variance of a value by itself."""
        found: Floats = 0.02 * np.exp(self.draws[:, 7])
        return found

    @property
    def group_weights(self) -> Floats:
        """[settings, groups]; 0 where a group is left out."""
        draws = self.draws[:, 8 : 8 + len(self.widths)]
        found: Floats = np.where(draws > ndtri(LEFT_OUT), np.exp(0.9 * draws), 0.0)
        return found

    def factors(self) -> list[Floats]:
        """Per group [settings, features]: how much each feature matters, over the length of the group.

        Some choices decide the quality, others hardly touch it.
        """
        groups, used = len(self.widths), self.group_weights > 0
        lengths = 1.2 * np.exp(0.6 * self.draws[:, 8 + groups : 8 + 2 * groups])
        ends = 8 + 2 * groups + np.cumsum((0, *self.widths))
        features = [self.draws[:, start:end] for start, end in pairwise(ends)]
        return [np.exp(RELEVANCE * z) / lengths[:, [g]] * used[:, [g]] for g, z in enumerate(features)]


@cache
def prior(widths: tuple[int, ...], count: int) -> Settings:
    """Settings spread evenly over the prior (a scrambled Sobol sequence)."""
    from scipy.stats import qmc  # takes a while

    numbers = 8 + 2 * len(widths) + sum(widths)
    uniform = qmc.Sobol(numbers, seed=0).random(1 << (count - 1).bit_length())[:count]
    return Settings(draws=ndtri(np.clip(uniform, 1e-4, 1 - 1e-4)), widths=widths)


class Pairs:
    """What the kernel needs of each pair of rows, whatever the setting.

    Where many rows share a model, models are compared in place of rows, and deployments likewise.
    """

    def __init__(self, a: Inputs, b: Inputs) -> None:
        mine, self._models = a.models, b.models
        others, self._expand = _distinct(self._models)
        self.differing = np.maximum(a.model_axes - a.model[mine] @ b.model[others].T, 0.0)
        self.axes = max(1, a.model_axes)
        self.features = [(x[mine], y[others]) for x, y in zip(a.groups, b.groups, strict=True)]
        deployed, self._expand_deployed = _distinct(b.deployments)
        self.deploy_differing = np.maximum(
            a.deploy_axes - a.deploy[a.deployments] @ b.deploy[deployed].T, 0.0
        )

    def kernel(self, settings: Settings) -> Floats:
        """[settings, rows of a, rows of b] prior correlations; 1 for a pair of equal rows. A constant of 1 is
        added by the caller."""
        rate, own, together = (each[:, None, None] for each in settings.deployed)
        total = self._of_models(settings)
        deployed = np.exp(-rate * self.deploy_differing)
        factor, added = 1 + together * deployed, own * deployed
        if self._expand is not None:
            total = np.take(total, self._expand, axis=2)
        if self._expand_deployed is not None:
            factor, added = (np.take(each, self._expand_deployed, axis=2) for each in (factor, added))
        total *= factor
        total += added
        total /= 1 + together + own
        return total

    def _of_models(self, settings: Settings) -> Floats:
        orders, weights = settings.orders, settings.group_weights
        norm = (orders.sum(axis=1) + weights.sum(axis=1))[:, None]
        first, second, whole = (orders / norm).T[:, :, None, None]
        share = 1 - self.differing / self.axes
        total: Floats = second * share
        total += first
        total *= share
        everything = settings.rate[:, None, None] * self.differing
        groups = zip(self.features, (weights / norm).T[:, :, None, None], settings.factors(), strict=True)
        for (a, b), weight, factor in groups:
            scaled = _squares(a * factor[:, None, :], b * factor[:, None, :])
            everything += 0.125 * scaled
            scaled *= -0.5
            np.exp(scaled, out=scaled)
            scaled *= weight
            total += scaled
        np.negative(everything, out=everything)
        np.exp(everything, out=everything)
        everything *= whole
        total += everything
        return total


def _distinct(labels: Integers) -> tuple[Integers, Integers | None]:
    """The different ones, and the place of each among them; all, and None, where few are alike."""
    different, places = np.unique(labels, return_inverse=True)
    return (different, places) if len(different) < SHARED * len(labels) else (labels, None)


def _squares(a: Floats, b: Floats) -> Floats:
    """[settings, rows of a, rows of b] squared distances of [settings, rows, features]."""
    cross: Floats = np.matmul(-2 * a, b.swapaxes(1, 2))
    cross += (a**2).sum(axis=2)[:, :, None]
    cross += (b**2).sum(axis=2)[:, None, :]
    return np.maximum(cross, 0.0, out=cross)
