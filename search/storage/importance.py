"""How much each axis of the space decides each objective, by PED-ANOVA (Watanabe et al. 2023)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import optuna
from optuna.distributions import CategoricalDistribution

from ..record.candidate import Candidate, Recipe
from ..record.evaluation import Outcome, TrialRecord

FEWEST_TRIALS = 10


def axes_of(candidate: Candidate) -> dict[str, str]:
    """The candidate on axes that every candidate has, as text; conditional ones hold "-" where absent."""
    method = candidate.calibration_method
    axes = {
        "backend": candidate.backend,
        "precision": str(candidate.precision),
        "sparsity": candidate.sparsity,
        "student": " ".join(f"{k}={v}" for k, v in candidate.student) or "teacher",
        "calibration": f"{method} {candidate.calibration_samples}" if method else "-",
    }
    recipe = candidate.recipe
    axes["distillation"] = _distillation(recipe) if recipe else "-"
    return axes


def _distillation(recipe: Recipe) -> str:
    return f"T={recipe.temperature:g} w={recipe.distill_weight:g}"


def importances(trials: Sequence[TrialRecord], objectives: Sequence[str]) -> dict[str, dict[str, float]]:
    """Objective -> axis -> share of its variation (sums to 1); empty where too little is known."""
    done = [trial for trial in trials if trial.ended(Outcome.COMPLETE)]
    if len(done) < FEWEST_TRIALS:
        return {}
    rows = [axes_of(trial.evaluation.candidate) for trial in done]
    choices = {axis: sorted({row[axis] for row in rows}) for axis in rows[0]}
    varied = {axis: CategoricalDistribution(values) for axis, values in choices.items() if len(values) > 1}
    return {name: found for name in objectives if (found := _of(name, done, rows, varied))}


def _of(
    objective: str, done: Sequence[TrialRecord], rows: Sequence[dict[str, str]], varied: dict[str, Any]
) -> dict[str, float]:
    # Here, since it takes half a second: it loads scikit-learn for other evaluators.
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    study = optuna.create_study(direction="minimize")
    for trial, row in zip(done, rows, strict=True):
        quantity = trial.evaluation.metrics.get(objective)
        if quantity is not None:
            params = {axis: row[axis] for axis in varied}
            value = quantity.value
            study.add_trial(optuna.trial.create_trial(params=params, distributions=varied, value=value))
    if not varied or len(study.trials) < FEWEST_TRIALS:
        return {}
    with warnings.catch_warnings():
        # Where a metric hardly varies, Optuna warns that all axes come out equal; the page shows just that.
        warnings.simplefilter("ignore")
        found = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())
    return {axis: float(share) for axis, share in found.items()}
