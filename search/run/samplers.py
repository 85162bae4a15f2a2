"""Optuna's samplers by the names that study files use."""

from __future__ import annotations

import warnings
from typing import Any

import optuna
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler


def make_sampler(name: str, seed: int) -> BaseSampler:
    """The sampler of that name. `gp` draws at random where parameters are conditional, as Optuna defines."""
    options: dict[str, Any] = {"seed": seed}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if name == "tpe":
            return TPESampler(multivariate=True, group=True, n_startup_trials=12, **options)
        if name == "nsga2":
            return NSGAIISampler(population_size=16, **options)
        if name == "gp":
            return GPSampler(**options)
        return RandomSampler(**options)
