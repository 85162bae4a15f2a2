"""Where a trial was worked on: which worker, which device of a pool."""

from __future__ import annotations

from ...profiles.words import duration
from ...search.record.evaluation import TrialRecord
from ...search.record.metrics import metric_info

_NOTED_S = 0.1
"""A shorter wait is none."""


def where_lines(trial: TrialRecord) -> list[str]:
    """Sentences on it; none where there was no choice, or another trial has answered this one."""
    where = trial.evaluation.where
    if where is None or trial.duplicate_of is not None:
        return []
    ran = f"It ran on {where.worker} for {duration(where.seconds)}" if where.worker else ""
    waited = f", {duration(where.waited)} of them until {where.device or 'the device'} was free"
    ran += waited if ran and where.waited >= _NOTED_S else ""
    took = where.reference_ms
    shown = f", where the reference took {metric_info('latency_ms').format(took.value)}" if took else ""
    return [
        *([f"{ran}."] if ran else []),
        *([f"It was measured on {where.device}{shown}."] if where.device else []),
    ]
