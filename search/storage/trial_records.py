"""Trials of Optuna as the house's records, and evaluations made fit to be stored."""

from __future__ import annotations

from dataclasses import replace

from optuna.trial import FrozenTrial

from ...profiles.errors import InternalError
from ..record.evaluation import EVALUATION, Evaluation, Outcome, TrialRecord

KEPT, STARTED, SECONDS = "evaluation", "started", "seconds"
"""Attributes of a trial: its evaluation as JSON, when it began, and how long it took."""
UNMEASURED = 1e30
"""How far a limit on what was not measured is missed, as stored: JSON has no infinity."""


def storable(evaluation: Evaluation, objectives: tuple[str, ...]) -> Evaluation:
    """The evaluation with finite violations; failed where it lacks an objective."""
    missed = {text: min(value, UNMEASURED) for text, value in evaluation.violations.items()}
    return replace(_with_every_objective(evaluation, objectives), violations=missed)


def _with_every_objective(evaluation: Evaluation, objectives: tuple[str, ...]) -> Evaluation:
    """The evaluation; `failed` where it is complete and a number that the search needs was not to be had."""
    missing = [name for name in objectives if name not in evaluation.metrics]
    if evaluation.outcome is not Outcome.COMPLETE or not missing:
        return evaluation
    cause = (
        f"{' and '.join(missing)} could not be told, and it is an objective: a percentile needs many runs "
        "that do not depend on each other; more rounds (`measure` in the study file) give them"
    )
    return replace(evaluation, outcome=Outcome.FAILED, stage="measure", cause=cause)


def trial_record(trial: FrozenTrial) -> TrialRecord:
    """What a trial has kept of its evaluation."""
    attrs = trial.user_attrs
    try:
        evaluation = EVALUATION.validate_json(attrs[KEPT])
    except ValueError as error:
        raise InternalError(f"trial {trial.number} holds a record that cannot be read: {error}") from error
    return TrialRecord(
        number=trial.number,
        evaluation=evaluation,
        started=attrs[STARTED],
        seconds=attrs[SECONDS],
    )


def duplicate_record(trial: FrozenTrial, original: TrialRecord) -> TrialRecord:
    """The record of a trial that another one has answered."""
    return replace(
        original,
        number=trial.number,
        started=trial.user_attrs[STARTED],
        seconds=trial.user_attrs[SECONDS],
        duplicate_of=original.number,
    )
