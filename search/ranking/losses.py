"""How two candidates of one study differ, by numbers that were taken alike."""

from __future__ import annotations

from ..record.evaluation import Quantity, StudyRecord
from .ranking import Ranked, comparable, latency_metric
from .verdict import quotient, speedup


def faster(record: StudyRecord, a: Ranked, b: Ranked) -> Quantity | None:
    """How many times as fast `a` is as `b`; None where that is not known.

    What the search measured of one is never held against what was confirmed of another: they were measured at
    other times.
    """
    if a.source == b.source:
        return speedup(record, a.number, b.number)
    metric = latency_metric(record)
    mine, theirs = (metrics.get(metric) for metrics in comparable(record, a, b))
    if mine is None or theirs is None or min(mine.value, theirs.value) <= 0:
        return None
    return quotient(theirs, mine)
