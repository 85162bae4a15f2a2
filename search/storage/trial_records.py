"""Trials of Optuna as the house's records, and evaluations made fit to be stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import optuna
from optuna.trial import FrozenTrial

from ..record import kept
from ..record.evaluation import Evaluation, Outcome, TrialRecord

STARTED, SECONDS = "started", "seconds"
"""Attributes of a trial: when it began, and how long it took."""
DUPLICATE, ATTEMPTS = "duplicate_of", "attempts"
"""Attributes of a trial: the number of the one that answered it, and how often it was tried before."""
_ANY_MORE = 1000
_LONGEST_S = 1e12


def storable(evaluation: Evaluation, objectives: tuple[str, ...]) -> Evaluation:
    """The evaluation as it will be read back; failed where it lacks an objective, or cannot be kept."""
    found = kept.storable(evaluation)
    whole = _with_every_objective(found, objectives)
    return whole if whole is found else kept.storable(whole)


def _with_every_objective(evaluation: Evaluation, objectives: tuple[str, ...]) -> Evaluation:
    """The evaluation; `failed` where it is complete and a number that the search needs was not to be had."""
    missing = [name for name in objectives if name not in evaluation.metrics]
    if evaluation.outcome is not Outcome.COMPLETE or not missing:
        return evaluation
    known = evaluation.deployed.untold
    why = "; ".join(known[name] for name in missing if name in known) or (
        "a percentile needs many runs that do not depend on each other; more rounds (`measure` in the study "
        "file) give them"
    )
    cause = f"{' and '.join(missing)} could not be told, and it is an objective: {why}"
    return replace(evaluation, outcome=Outcome.FAILED, stage="measure", cause=cause)


def trial_record(trial: FrozenTrial, objectives: tuple[str, ...]) -> TrialRecord:
    """What a trial has kept of its evaluation, a failed one where that cannot be read."""
    started, seconds = _times(trial)
    evaluation = _with_every_objective(kept.read(trial.user_attrs[kept.KEPT], trial.number), objectives)
    return TrialRecord(number=trial.number, evaluation=evaluation, started=started, seconds=seconds)


def duplicate_record(trial: FrozenTrial, original: TrialRecord) -> TrialRecord:
    """The record of a trial that another one has answered."""
    started, seconds = _times(trial)
    return replace(
        original, number=trial.number, started=started, seconds=seconds, duplicate_of=original.number
    )


def attempts(attributes: Mapping[str, Any]) -> int:
    """How often a trial's candidate was tried before; a damaged count is none."""
    found = attributes.get(ATTEMPTS)
    return found if isinstance(found, int) and 0 <= found < _ANY_MORE else 0


def repeats(trial: FrozenTrial) -> int:
    """The number of the trial that has answered this one; -1 where none has."""
    found = trial.user_attrs.get(DUPLICATE)
    return found if isinstance(found, int) and not isinstance(found, bool) else -1


def _times(trial: FrozenTrial) -> tuple[float, float]:
    """When a trial began and how long it took: by its attributes, where they are lost by Optuna's own."""
    began = trial.datetime_start.timestamp() if trial.datetime_start else 0.0
    took = trial.duration.total_seconds() if trial.duration else 0.0
    told = (trial.user_attrs.get(STARTED), trial.user_attrs.get(SECONDS))
    started, seconds = (v if isinstance(v, int | float) and 0 <= v <= _LONGEST_S else None for v in told)
    return (began if started is None else started), (took if seconds is None else seconds)


def objectives_of(study: optuna.Study) -> tuple[str, ...]:
    """The names of a study's objectives, as far as it keeps any."""
    names: Any = study.metric_names
    return tuple(name for name in names if isinstance(name, str)) if isinstance(names, list) else ()
