"""Which numbers a table of candidates has, and on which samples each was taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ...search.ranking.known import TEST, VALIDATION, known_metrics, reference_trial, searched_metrics
from ...search.record.evaluation import Outcome, Quantity, StudyRecord, TrialRecord
from ...search.record.metrics import SIDE_EFFECTS, metric_info
from ...search.record.quality import higher_is_better


@dataclass(frozen=True, kw_only=True)
class Column:
    """A metric's column. `split` names the samples where the metric depends on them, else it is empty."""

    metric: str
    title: str
    higher_is_better: bool
    split: str = ""


def shown_metrics(record: StudyRecord) -> tuple[str, ...]:
    """Objectives first, then limited metrics, quality, latency and size, each once."""
    wanted = [objective.metric for objective in record.objectives]
    wanted += [limit.metric for limit in record.limits] + [record.quality, "latency_ms", "size_bytes"]
    return tuple(dict.fromkeys(wanted))


def columns(record: StudyRecord) -> tuple[Column, ...]:
    """The metric columns of the table; what is scored on samples has one for each split."""
    return tuple(
        Column(
            metric=metric,
            title=f"{metric_info(metric).title}{f' ({split})' if split else ''}",
            higher_is_better=higher_is_better(record, metric),
            split=split,
        )
        for metric in shown_metrics(record)
        for split in _splits(record, metric)
    )


def _splits(record: StudyRecord, metric: str) -> tuple[str, ...]:
    if metric != record.quality and metric not in SIDE_EFFECTS:
        return ("",)
    tested = record.finalists or record.reference_on_test is not None
    return (VALIDATION, TEST) if tested else (VALIDATION,)


def number(record: StudyRecord, trial: TrialRecord, column: Column) -> Quantity | None:
    """What is known of a trial in a column: with untrained weights, where it was gated."""
    if trial.evaluation.outcome is Outcome.GATED:
        return trial.evaluation.gate.get(column.metric) if column.split != TEST else None
    if column.split == TEST:
        return tested_metrics(record, trial).get(column.metric)
    if column.split == VALIDATION:
        return searched_metrics(trial).get(column.metric)
    return known_metrics(record, trial.number)[0].get(column.metric)


def tested_metrics(record: StudyRecord, trial: TrialRecord) -> Mapping[str, Quantity]:
    """What was scored on the test split: a finalist's numbers, and the uncompressed teacher's quality."""
    for finalist in record.finalists:
        if finalist.number == trial.number:
            return {**finalist.metrics, **finalist.side_effects}
    if record.reference_on_test is not None and trial == reference_trial(record):
        return {record.quality: record.reference_on_test}
    return {}
