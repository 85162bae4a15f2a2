"""How sure an answer is, in sentences: doubts about limits, ties, noise."""

from __future__ import annotations

from collections.abc import Sequence
from math import erfc, sqrt

from ...profiles.quantity import was_noisy
from ...profiles.words import listed
from ..record.evaluation import Limit, Quantity, StudyRecord
from ..record.metrics import HARDWARE_METRICS
from .known import TEST, bound_for, point_of, trial_of
from .pareto import tied
from .ranking import Ranked, Ranking
from .sentences import difference_text

WORTH_SAYING = 0.2  # a smaller chance that a limit turns is no news: every interval reaches somewhere


def how_sure(record: StudyRecord, ranking: Ranking, entry: Ranked) -> tuple[str, ...]:
    """What makes the answer more or less certain, in sentences."""
    said = [
        "Scored on the test split and measured again side by side with the other finalists."
        if entry.source == TEST
        else "Not confirmed: these are the numbers of the search itself, on the validation split."
    ]
    said += [
        line
        for limit in ranking.limits
        if (line := chance_line(bound_for(limit, entry.source), entry.metrics.get(limit.metric), entry))
    ]
    if ties := ties_of(record, ranking, entry):
        said.append(_tie_line(entry, ties, first=ranking.entries[0].number == entry.number))
    stability = trial_of(record, entry.number).evaluation.stability
    if was_noisy(stability):
        said.append(f"The machine was not quiet while this was measured: {stability}.")
    return tuple(said)


def _tie_line(entry: Ranked, ties: Sequence[int], *, first: bool) -> str:
    named = listed(f"#{number}" for number in ties)
    why = "is the first by its measured values" if first else "is a simple choice"
    return f"Cannot be told apart from {named}: any of them would do, and #{entry.number} {why}."


def chance_line(limit: Limit, quantity: Quantity | None, entry: Ranked) -> str:
    """How likely another measurement would turn the answer to a limit; empty where that is unlikely.

    The interval is read as that of a normal distribution around the value.
    """
    chance = _chance_of_turning(limit, quantity)
    if quantity is None or chance < WORTH_SAYING:
        return ""
    miss = limit.violation(quantity.value)
    by = difference_text(limit.metric, abs(miss))
    turned = "met" if miss > 0 else "missed"
    if limit.metric in HARDWARE_METRICS:
        again, remedy = "measured again", "more rounds (`measure` in the study file)"
    else:
        again = "scored on other data of this kind"
        remedy = f"more {entry.source} samples"
    return (
        f"The limit {limit.text!r} is {'missed' if miss > 0 else 'met'} by {by} only: {again}, it would be "
        f"{turned} with a chance of about {100 * chance:.0f} %. Surer with {remedy}."
    )


def _chance_of_turning(limit: Limit, quantity: Quantity | None) -> float:
    """The probability that the true value lies on the other side of the limit."""
    if quantity is None:
        return 0.0
    low, high = quantity.ends
    towards = high if limit.bound > quantity.value else low
    error = abs(towards - quantity.value) / 1.96
    gap = abs(limit.bound - quantity.value)
    return 0.5 * erfc(gap / error / sqrt(2)) if error else 0.0


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
