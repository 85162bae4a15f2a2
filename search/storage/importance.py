"""How much each axis of the space decides each objective, by PED-ANOVA (Watanabe et al. 2023)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import cycle

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution

from ..record.candidate import Candidate, Recipe
from ..record.evaluation import Outcome, TrialRecord
from ..record.metrics import HARDWARE_METRICS

FEWEST_TRIALS = 10
ABSENT = "-"
OF_WEIGHTS = frozenset({"calibration", "distillation"})
"""Axes that decide what weights and ranges are, and so nothing that the device measures."""


def axes_of(candidate: Candidate) -> dict[str, str]:
    """The candidate on axes that every candidate has, as text; conditional ones are `ABSENT` where they
    are not there."""
    method = candidate.calibration_method
    axes = {
        "backend": candidate.backend,
        "precision": str(candidate.precision),
        "sparsity": candidate.sparsity,
        "student": " ".join(f"{k}={v}" for k, v in candidate.student) or "teacher",
        "calibration": f"{method} {candidate.calibration_samples}" if method else ABSENT,
    }
    recipe = candidate.recipe
    axes["distillation"] = _distillation(recipe) if recipe else ABSENT
    return axes


def _distillation(recipe: Recipe) -> str:
    return f"T={recipe.temperature:g} w={recipe.distill_weight:g}"


def importances(trials: Sequence[TrialRecord], objectives: Sequence[str]) -> dict[str, dict[str, float]]:
    """Objective -> axis -> share of its variation (sums to 1); empty where too little is known.

    An axis with one value in the study decides nothing, nor does one that cannot act on the objective.
    """
    done = [trial for trial in trials if trial.ended(Outcome.COMPLETE)]
    if len(done) < FEWEST_TRIALS:
        return {}
    rows = [axes_of(trial.evaluation.candidate) for trial in done]
    columns = {axis: _everywhere([row[axis] for row in rows]) for axis in rows[0]}
    varied = {axis: values for axis, values in columns.items() if len(set(values)) > 1}
    return {name: found for name in objectives if (found := _of(name, done, _acting_on(name, varied)))}


def _everywhere(values: Sequence[str]) -> list[str]:
    """The values of an axis, with those that are there dealt out in turn where it is absent: an axis that
    only int8 has would otherwise be given what int8 does."""
    there = sorted(set(values) - {ABSENT})
    turn = cycle(there)
    return [next(turn) if value == ABSENT and there else value for value in values]


def _acting_on(objective: str, axes: dict[str, list[str]]) -> dict[str, list[str]]:
    kept_out = OF_WEIGHTS if objective in HARDWARE_METRICS else frozenset()
    return {axis: values for axis, values in axes.items() if axis not in kept_out}


def _of(objective: str, done: Sequence[TrialRecord], axes: dict[str, list[str]]) -> dict[str, float]:
    # Here, since it takes half a second: it loads scikit-learn for other evaluators.
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    study = optuna.create_study(direction="minimize")
    space: dict[str, BaseDistribution] = {
        axis: CategoricalDistribution(sorted(set(values))) for axis, values in axes.items()
    }
    for place, trial in enumerate(done):
        quantity = trial.evaluation.metrics.get(objective)
        if quantity is not None:
            params = {axis: values[place] for axis, values in axes.items()}
            value = quantity.value
            study.add_trial(optuna.trial.create_trial(params=params, distributions=space, value=value))
    if not axes or len(study.trials) < FEWEST_TRIALS:
        return {}
    with warnings.catch_warnings():
        # Where a metric hardly varies, Optuna warns that all axes come out equal; the page shows just that.
        warnings.simplefilter("ignore")
        found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return {axis: float(share) for axis, share in found.items()}
