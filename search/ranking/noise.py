"""How sure an answer is, in sentences: doubts about limits, ties, noise."""

from __future__ import annotations

from collections.abc import Sequence
from math import erfc, sqrt

from ...profiles.quantity import was_noisy
from ...profiles.words import listed
from ..record.evaluation import Limit, Quantity, StudyRecord
from ..record.limits import parse_limit
from ..record.metrics import HARDWARE_METRICS, MEMORY_METRICS
from ..record.samples import difference
from .estimated import sure_lines
from .known import TEST, bound_for, point_of, reference_quality, trial_of
from .loads import load_line
from .pareto import tied
from .ranking import Ranked, Ranking
from .sentences import difference_text
from .slowed import slowed_line

COARSE = 0.1
"""Of the latency: where differences below it cannot be told apart, a verdict says so."""
WORTH_SAYING = 0.2  # a smaller chance that a limit turns is no news: every interval reaches somewhere


def how_sure(record: StudyRecord, ranking: Ranking, entry: Ranked) -> tuple[str, ...]:
    """What makes the answer more or less certain, in sentences."""
    if record.estimated is not None:
        return sure_lines(record, entry, ties_of(record, ranking, entry))
    said = [_confirmed(record, entry)]
    said += [line for limit in ranking.limits if (line := chance_line(record, limit, entry))]
    if ties := ties_of(record, ranking, entry):
        said.append(_tie_line(entry, ties, first=ranking.entries[0].number == entry.number))
    if load := load_line(record, entry.number, ranking.limits):
        said.append(load)
    stability = trial_of(record, entry.number).evaluation.stability
    if was_noisy(stability):
        said.append(f"The machine was not quiet while this was measured: {stability}.")
    if slowed := slowed_line(record, entry.number):
        said.append(slowed)
    if coarse := coarse_line(record):
        said.append(coarse)
    return tuple(said)


def _confirmed(record: StudyRecord, entry: Ranked) -> str:
    if entry.source != TEST:
        return "Not confirmed: these are the numbers of the search itself, on the validation split."
    if any(one.number == entry.number and "latency_ms" in one.metrics for one in record.finalists):
        return "Scored on the test split and measured again side by side with the other finalists."
    return "Scored on the test split, not measured again: its latency is that of the search."


def coarse_line(record: StudyRecord) -> str:
    """What the machine cannot tell apart, where that is more than a user would expect; else empty."""
    timing = record.timing
    if timing is None or timing.told_apart <= COARSE:
        return ""
    return (
        f"While searching, differences in latency below {100 * timing.told_apart:.0f} % cannot be told apart "
        f"on this machine: two processes of one model differ by {100 * timing.process_spread:.2g} % there."
    )


def _tie_line(entry: Ranked, ties: Sequence[int], *, first: bool) -> str:
    named = listed(f"#{number}" for number in ties)
    why = "is the first by its measured values" if first else "is a simple choice"
    return f"Cannot be told apart from {named}: any of them would do, and #{entry.number} {why}."


def chance_line(record: StudyRecord, limit: Limit, entry: Ranked) -> str:
    """How likely another measurement would turn the answer to a limit; empty where that is unlikely."""
    above = above_bound(record, limit, entry)
    if limit.metric in MEMORY_METRICS:
        return memory_line(record, limit, entry)
    chance = 0.0 if above is None else _chance_of_turning(above)
    if above is None or chance < WORTH_SAYING:
        return ""
    missed = (above.value > 0) == limit.upper and above.value != 0
    by = difference_text(limit.metric, abs(above.value))
    turned = "met" if missed else "missed"
    if limit.metric in HARDWARE_METRICS:
        again, remedy = "measured again", "more rounds (`measure` in the study file)"
    else:
        again = "scored on other data of this kind"
        remedy = f"more {entry.source} samples"
    return (
        f"The limit {limit.text!r} is {'missed' if missed else 'met'} by {by} only: {again}, it would be "
        f"{turned} with a chance of about {100 * chance:.0f} %. Surer with {remedy}."
    )


def memory_line(record: StudyRecord, limit: Limit, entry: Ranked) -> str:
    """Of a limit on memory that lies within what processes of one candidate take: it counts as missed."""
    above = above_bound(record, limit, entry)
    if above is None or not limit.upper or not above.ends[0] <= 0 < above.ends[1]:
        return ""
    most, middle = (difference_text(limit.metric, abs(one)) for one in (above.ends[1], above.value))
    side = f"{middle} {'below' if above.value < 0 else 'above'} it" if above.value else "right at it"
    return (
        f"The limit {limit.text!r} counts as missed by #{entry.number}: processes take {side}, and one in "
        f"twenty up to {most} above it. Memory is held against the upper end."
    )


def above_bound(record: StudyRecord, limit: Limit, entry: Ranked) -> Quantity | None:
    """How far a candidate's value lies above a limit's bound, with its interval.

    Where the bound comes from the teacher's quality, both are scores on the same samples: the interval is
    that of their paired difference.
    """
    value = entry.metrics.get(limit.metric)
    if value is None:
        return None
    bound = bound_for(limit, entry.source).bound
    teacher = reference_quality(record, entry.source)
    if limit.relative and limit.metric == record.quality and teacher is not None:
        spec = parse_limit(limit.text, record.quality)
        gap = difference(value, teacher, spec.teacher_factor)
        if gap is not None:
            low, high = gap.ends
            shift = value.value - bound - gap.value
            return Quantity(value=gap.value + shift, low=low + shift, high=high + shift)
    low, high = value.ends
    return Quantity(value=value.value - bound, low=low - bound, high=high - bound)


def _chance_of_turning(above: Quantity) -> float:
    """The probability that the true value lies on the other side of 0; the interval is read as that of a
    normal distribution around the value."""
    low, high = above.ends
    error = abs((low if above.value > 0 else high) - above.value) / 1.96
    return 0.5 * erfc(abs(above.value) / error / sqrt(2)) if error else 0.0


def ties_of(record: StudyRecord, ranking: Ranking, chosen: Ranked) -> tuple[int, ...]:
    """Numbers of the candidates on the front that cannot be told apart from the chosen one, best first."""
    mine = point_of(record.objectives, chosen.metrics)
    return tuple(
        entry.number
        for entry in ranking.entries
        if entry.number != chosen.number
        and (entry.feasible, entry.source) == (chosen.feasible, chosen.source)
        and entry.on_front
        and mine is not None
        and (point := point_of(record.objectives, entry.metrics)) is not None
        and tied(mine, point)
    )
