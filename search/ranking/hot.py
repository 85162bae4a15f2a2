"""What finalists are when the device is hot, against what they were cold, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from ...profiles.words import duration
from ..record.evaluation import Finalist, Limit, Quantity, StudyRecord
from ..record.metrics import metric_info
from ..record.sustained import Sustained
from .known import bound_for
from .pareto import better
from .ranking import latency_metric

_RATE = metric_info("throughput_per_s")
SLOWER = 1.05
"""By so much a run has to take longer at the end to be worth a word."""


def kept_at_work(record: StudyRecord) -> tuple[Finalist, ...]:
    """The finalists that were, in their order."""
    return tuple(one for one in record.finalists if one.deployed.sustained is not None)


def hot_lines(record: StudyRecord, limits: Sequence[Limit]) -> tuple[str, ...]:
    """Where the order of finalists changes when hot, and which limits are held cold alone; what the
    recommendation goes by. Nothing where the study did not ask."""
    there = kept_at_work(record)
    if not there:
        return ()
    kept = there[0].deployed.sustained
    assert kept is not None
    changed = [line for a, b in combinations(there, 2) if (line := _turned(record, a, b))]
    missed = [line for one in there for limit in limits if (line := _lost(limit, one))]
    behind = [
        f"#{one.number} does not keep up with {_RATE.format(one.deployed.sustained.rate)} for so long."
        for one in there
        if one.deployed.sustained is not None and not one.deployed.sustained.kept_up
    ]
    same = [] if changed else ["in the same order as cold"]
    by = f"Latencies are those after {duration(kept.seconds)} at work ({kept.load} load)"
    return (", ".join([by, *same]) + ".", *changed, *missed, *behind)


def _turned(record: StudyRecord, a: Finalist, b: Finalist) -> str:
    """The order of two that differ beyond error, one way cold and the other way hot."""
    name = latency_metric(record)
    cold, hot = ([_of(one, name, hot=is_hot) for one in (a, b)] for is_hot in (False, True))
    if None in (*cold, *hot):
        return ""
    for first, second, i in ((a, b, 0), (b, a, 1)):
        if _below(cold[i], cold[1 - i]) and _below(hot[1 - i], hot[i]):
            was, now = (" and ".join(_text(name, q[k]) for k in (i, 1 - i)) for q in (cold, hot))
            return (
                f"When hot the order changes: #{first.number} is faster than #{second.number} cold ({was}), "
                f"and slower after the work ({now})."
            )
    return ""


def _below(one: Quantity | None, other: Quantity | None) -> bool:
    return one is not None and other is not None and better(one, other, False)


def _of(one: Finalist, name: str, *, hot: bool) -> Quantity | None:
    kept = one.deployed.sustained
    return None if kept is None else (kept.hot if hot else kept.cold).get(name)


def _text(name: str, quantity: Quantity | None) -> str:
    return "" if quantity is None else metric_info(name).format(quantity.value)


def _lost(limit: Limit, one: Finalist) -> str:
    """A limit on a latency that is held cold and not hot."""
    cold, hot = (_of(one, limit.metric, hot=is_hot) for is_hot in (False, True))
    if cold is None or hot is None:
        return ""
    bound = bound_for(limit, "test")
    if bound.violation(cold.value) > 0 or bound.violation(hot.value) <= 0:
        return ""
    was, now = _text(limit.metric, cold), _text(limit.metric, hot)
    return f"The limit {limit.text!r} is held by #{one.number} cold ({was}), and missed when hot ({now})."


def slower_line(kept: Sustained) -> str:
    """By how much a run takes longer at the end; whether the device itself was slower."""
    found = kept.slowdown
    if found is None:
        return ""
    share = found.value - 1
    alone = kept.reference
    other = (
        "" if alone is None or alone < SLOWER else f"; the reference takes {100 * (alone - 1):.0f} % longer"
    )
    if found.value < SLOWER or found.ends[0] <= 1:
        return f"as fast at the end as before it{other}"
    return f"{100 * share:.0f} % slower at the end than before it{other}"
