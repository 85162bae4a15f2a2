"""The pool as the model of quality sees it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..record.arrays import Floats, Integers
from ..surrogates.filled import filled
from ..surrogates.hardware_model import HardwareModel
from ..surrogates.kernel import Inputs
from .pool import Pool, choice_counts, deploy_axes, grouped, model_axes, one_hot, positions
from .told_networks import ToldNetworks

CAPACITY = ("macs", "parameters")
"""What stands for the size of a model; the latency does where neither is known."""
REFIT_GROWTH = 1.15
"""What was not told is predicted anew when so many times as much was told."""
REACH = 1.25
"""How far apart two networks lie on average that have nothing to do with each other, by what they told."""


@dataclass(frozen=True, kw_only=True)
class ToldScores:
    """What networks tell at a `version`: `structure` and `proxies` [models, features], without gaps. Those
    that did not tell it were predicted when `predicted_at` was the version."""

    version: int
    predicted_at: int
    structure: Floats
    proxies: Floats


class ModelInputs:
    """Axes are fixed; capacity follows what was measured, and the rest what networks told."""

    def __init__(self, pool: Pool, hardware: HardwareModel, networks: ToldNetworks, seed: int) -> None:
        self.pool, self.hardware, self.networks, self._seed = pool, hardware, networks, seed
        self._axes: tuple[bool, Integers, Inputs] | None = None  # where the structure is told, who is alike
        self._told: ToldScores | None = None

    def now(self, latency: str) -> Inputs:
        """All candidates. `latency` is the metric that stands for the size where nothing else does."""
        axes, told = self.axes(), self.told()
        groups = [self.capacity(latency), _spread(told.structure), _spread(told.proxies)]
        return replace(axes, groups=(*axes.groups, *(group for group in groups if group.shape[1])))

    def axes(self) -> Inputs:
        """Without what is measured and told. Networks that compute the same have the axes of one of them."""
        structured, alike = self.networks.structured, self.networks.alike
        if self._axes is None or self._axes[0] != structured or not np.array_equal(self._axes[1], alike):
            self._axes = structured, alike, self._of_axes(structured)
        return self._axes[2]

    def _of_axes(self, structured: bool) -> Inputs:
        pool = self.pool
        models = [pool.model_candidates[place] for place in self.networks.alike]
        model, model_count = one_hot([model_axes(c) for c in models])
        kinds, deployments = grouped([tuple(deploy_axes(c).items()) for c in pool.candidates])
        deploy, deploy_count = one_hot([dict(items) for items in deployments])
        # How often each choice occurs says less than the structure does, which knows what of it is alive.
        fixed = (positions(models),) if structured else (positions(models), choice_counts(models))
        return Inputs(
            model=model,
            model_axes=model_count,
            deploy=deploy,
            deploy_axes=deploy_count,
            groups=tuple(group for group in fixed if group.shape[1]),
            model_of=pool.models,
            deploy_of=kinds,
        )

    def told(self) -> ToldScores:
        """What networks tell, with predictions for those that did not."""
        version, held = self.networks.version, self._told
        if held is not None and version == held.version:
            return held
        structure, proxies = self.networks.structure(), self.networks.proxies()
        if held is not None and version <= REFIT_GROWTH * held.predicted_at:
            same = structure.shape == held.structure.shape and proxies.shape == held.proxies.shape
            held = _renewed(held, structure, proxies, version) if same else None
        else:
            held = None
        self._told = held or self._predicted(structure, proxies, version)
        return self._told

    def _predicted(self, structure: Floats, proxies: Floats, version: int) -> ToldScores:
        axes, count = self.axes(), len(self.pool.model_candidates)
        models = replace(axes, model_of=None, deploy=np.zeros((count, 0)), deploy_axes=0, deploy_of=None)
        structure = filled(structure, models, self._seed)
        if structure.shape[1]:
            models = replace(models, groups=(*models.groups, _spread(structure)))
        proxies = filled(proxies, models, self._seed)
        return ToldScores(version=version, predicted_at=version, structure=structure, proxies=proxies)

    def capacity(self, latency: str) -> Floats:
        """[models] logarithms of multiply-adds and parameters (else of the latency), standardized."""
        named = [name for name in CAPACITY if self._seen(name)]
        if not named and not self.networks.structured and self._seen(latency):
            named = [latency]
        columns = []
        for name in named:
            logs = self._of_models(name)
            middle, spread = np.median(logs), np.std(logs)
            if spread > 0:
                columns.append(np.clip((logs - middle) / spread, -3, 3))
        return np.stack(columns, axis=1) if columns else np.zeros((len(self.pool.model_candidates), 0))

    def _seen(self, name: str) -> bool:
        return name in self.hardware.metrics and not np.isnan(self._of_rows(name)).all()

    def _of_rows(self, name: str) -> Floats:
        found: Floats = self.hardware.values[self.pool.classes, self.hardware.metrics.index(name)]
        return found

    def _of_models(self, name: str) -> Floats:
        """[models] logarithm of a metric, the mean over what was measured of a model, else of what is
        predicted."""
        column, classes = self.hardware.metrics.index(name), self.pool.classes
        sure = ~np.isnan(self.hardware.known[classes, column])
        measured = np.bincount(self.pool.models, weights=sure)
        counted = sure | (measured == 0)[self.pool.models]
        logs = np.where(counted, np.log(self._of_rows(name)), 0.0)
        found: Floats = np.bincount(self.pool.models, weights=logs) / np.bincount(
            self.pool.models, weights=counted
        )
        return found


def _renewed(held: ToldScores, structure: Floats, proxies: Floats, version: int) -> ToldScores:
    """With what was told since, and the predictions of before for the others."""
    pairs = ((structure, held.structure), (proxies, held.proxies))
    structure, proxies = (np.where(np.isnan(new), before, new) for new, before in pairs)
    return replace(held, version=version, structure=structure, proxies=proxies)


def _spread(scores: Floats) -> Floats:
    """Scores on a scale on which distances do not grow with how many features there are."""
    found: Floats = scores * (REACH / np.sqrt(max(1, scores.shape[1])))
    return found
