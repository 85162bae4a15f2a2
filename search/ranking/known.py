"""What a record says of its candidates: the numbers that count, and by how much limits are missed."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from math import inf, isfinite

from ..record.evaluation import Limit, Objective, Outcome, Quantity, StudyRecord, TrialRecord
from ..record.metrics import MEMORY_METRICS, metric_info
from .pareto import Point

TEST, VALIDATION = "test", "validation"


Metrics = Mapping[str, Quantity]


def known_metrics(record: StudyRecord, number: int) -> tuple[dict[str, Quantity], str]:
    """The best numbers known of a trial and their source: the finalist's over the trial's own."""
    own = searched_metrics(trial_of(record, number))
    for finalist in record.finalists:
        if finalist.number == number:
            return {**own, **_finite(finalist.metrics), **_finite(finalist.side_effects)}, TEST
    return own, VALIDATION


def searched_metrics(trial: TrialRecord) -> dict[str, Quantity]:
    """What the search itself measured of a trial, on validation. A number that is none counts as unknown."""
    return _finite(trial.evaluation.metrics)


def _finite(metrics: Mapping[str, Quantity]) -> dict[str, Quantity]:
    return {name: quantity for name, quantity in metrics.items() if isfinite(quantity.value)}


def reference_trial(record: StudyRecord) -> TrialRecord | None:
    """The uncompressed teacher that limits refer to: the first simple choice of the study."""
    simple = [trial for trial in complete_trials(record) if trial.evaluation.baseline]
    return min(simple, key=lambda trial: trial.number, default=None)


def reference_quality(record: StudyRecord, source: str) -> Quantity | None:
    """The uncompressed teacher's quality on a split; None where it was not scored there."""
    reference = reference_trial(record)
    if reference is None:
        return None
    if source == VALIDATION:
        return searched_metrics(reference).get(record.quality)
    if record.reference_on_test is not None:
        return record.reference_on_test
    finalists = {finalist.number: finalist for finalist in record.finalists}
    confirmed = finalists.get(reference.number)
    return None if confirmed is None else _finite(confirmed.metrics).get(record.quality)


def trial_of(record: StudyRecord, number: int) -> TrialRecord:
    """The trial of that number.

    Raises:
        KeyError: the study has no such trial.
    """
    for trial in record.trials:
        if trial.number == number:
            return trial
    raise KeyError(number)


def complete_trials(record: StudyRecord) -> list[TrialRecord]:
    """Complete trials, without those that only repeat another one, and those of which the device computes
    something else by now: nothing that was measured of them stands."""
    wrong = {one.number for one in record.unconfirmed if one.agreement is not None}
    return [t for t in record.trials if t.ended(Outcome.COMPLETE) and t.number not in wrong]


def violation_scale(limit: Limit) -> float:
    """What a miss is divided by to compare limits: the bound; for a share, its distance from 100 %; for a
    difference of shares the bound, but at least a point."""
    info = metric_info(limit.metric)
    if info.points:
        return max(abs(limit.bound), 0.01)
    if info.unit == "share":
        return max(1.0 - limit.bound, 0.01)
    return abs(limit.bound) or 1.0


def violations(
    limits: Sequence[Limit], metrics: Mapping[str, Quantity], source: str = VALIDATION
) -> dict[str, float]:
    """How far each limit is missed, by its text, in its metric's unit; inf where that was not measured."""
    return {
        limit.text: bound_for(limit, source).violation(decisive(limit, metrics[limit.metric]))
        if limit.metric in metrics
        else inf
        for limit in limits
    }


def decisive(limit: Limit, quantity: Quantity) -> float:
    """The value that a limit is held against: of memory the upper end of its interval, since what takes more
    in one process of twenty does not fit; of an estimate the worse end, whatever it is of."""
    if quantity.is_estimate:
        return quantity.ends[1 if limit.upper else 0]
    return quantity.ends[1] if limit.upper and limit.metric in MEMORY_METRICS else quantity.value


def limits_on(metrics: Container[str], limits: Sequence[Limit]) -> list[Limit]:
    """Those of the limits whose metric is among these."""
    return [limit for limit in limits if limit.metric in metrics]


def bound_for(limit: Limit, source: str) -> Limit:
    """The limit with the bound that holds for numbers from `source`."""
    if source == TEST and limit.bound_on_test is not None:
        return replace(limit, bound=limit.bound_on_test)
    return limit


def point_of(objectives: Sequence[Objective], metrics: Mapping[str, Quantity]) -> Point | None:
    """The metrics as a point over the objectives; None where one is missing."""
    if any(objective.metric not in metrics for objective in objectives):
        return None
    return tuple(metrics[objective.metric] for objective in objectives)
