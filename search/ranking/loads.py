"""What a throughput means in the answer of a study, in a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...profiles.words import joined
from ..record.evaluation import Limit, StudyRecord
from .known import known_metrics
from .sentences import quantity_text

THROUGHPUT = "throughput_per_s"
UNDER_LOAD = ("latency_ms", "latency_p90_ms", "latency_p99_ms")
"""Limits on these are limits on response times where the study is about the throughput."""


def held_under_load(limits: Iterable[Limit]) -> tuple[str, ...]:
    """The texts of the limits that the response times of a throughput keep to."""
    return tuple(one.text for one in limits if one.metric in UNDER_LOAD and one.upper and not one.relative)


def load_line(record: StudyRecord, number: int, limits: Sequence[Limit]) -> str:
    """Where the study names the throughput: what it is of a candidate, under which limits, and whether runs
    have shown it; else empty. `limits` are those that were asked about."""
    named = {objective.metric for objective in record.objectives} | {limit.metric for limit in record.limits}
    quantity = known_metrics(record, number)[0].get(THROUGHPUT)
    if quantity is None or THROUGHPUT not in named | {limit.metric for limit in limits}:
        return ""
    value = quantity_text(THROUGHPUT, quantity).replace(" /s", " requests a second")
    own = held_under_load(record.limits)
    how = "shown in runs under load" if quantity.provenance == "measured" else "predicted, not shown in runs"
    if not own:
        return f"It serves {value} back to back, {how}; no limit on latency bounds their queue."
    asked = held_under_load(limits)
    other = "" if asked == own else f"; it says nothing of {joined(asked) or 'a device without that limit'}"
    return (
        f"It serves {value} at random times within {joined(own)}, the time in the queue included "
        f"({how}){other}."
    )
