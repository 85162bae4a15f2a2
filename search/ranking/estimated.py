"""What may be said where nothing was measured: expectations with their ranges, and what they leave open."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, inf, isfinite, log, sqrt

from ...profiles.quantity import Quantity
from ...profiles.words import joined, listed
from ..record.evaluation import Limit, StudyRecord
from ..record.metrics import metric_info
from ..record.samples import ratio_in_cases
from .known import bound_for
from .ranking import Ranked, Ranking
from .sentences import IN_CASES, name_of, quantity_text

_WIDEST = log(1e9)


def ratio_of_estimates(above: Quantity, below: Quantity) -> Quantity:
    """Of two estimates: in the cases that they share, else as if their errors were independent factors."""
    value = above.value / below.value
    together = ratio_in_cases(above, below)
    if together is not None:
        low, high = min(together[0], value), max(together[1], value)
        how = "ratio of two estimates, in the cases that both share"
        return Quantity(value=value, low=low, high=high, provenance="estimated", how=how)
    spread = min(sqrt(_spread(above) ** 2 + _spread(below) ** 2), _WIDEST)
    return Quantity(
        value=value,
        low=value * exp(-spread),
        high=value * exp(spread),
        provenance="estimated",
        how="ratio of two estimates, whose errors are taken as independent",
    )


def _spread(quantity: Quantity) -> float:
    """Half of the interval, as a logarithm."""
    low, high = quantity.ends
    return log(high / low) / 2 if 0 < low <= high else inf


def open_limits(ranking: Ranking, entry: Ranked) -> tuple[Limit, ...]:
    """The limits of which it is not known whether a candidate meets them: the bound lies in the range of its
    estimate. Where one is missed for certain, none is open."""
    found = []
    for limit in ranking.limits:
        if entry.violations.get(limit.text, 0.0) <= 0:
            continue
        quantity, bound = entry.metrics.get(limit.metric), bound_for(limit, entry.source)
        if quantity is None or not quantity.is_estimate:
            return ()
        if bound.violation(quantity.ends[0 if limit.upper else 1]) > 0:
            return ()
        found.append(limit)
    return tuple(found)


def limits_text(ranking: Ranking, entry: Ranked) -> str:
    """ "within every limit", "over a limit"; of estimates also that one is open."""
    if entry.feasible:
        return "within every limit"
    return "a limit is open" if open_limits(ranking, entry) else "over a limit"


def undecided(ranking: Ranking) -> Ranked | None:
    """The first candidate that may meet every limit, where none does for certain."""
    if ranking.best is not None:
        return None
    likely = [entry for entry in ranking.entries if open_limits(ranking, entry)]
    return min(likely, key=lambda entry: _expected_miss(ranking, entry), default=None)


def _expected_miss(ranking: Ranking, entry: Ranked) -> tuple[float, bool, float]:
    """By how much it is expected to miss limits, as shares of these."""
    missed = 0.0
    for limit in open_limits(ranking, entry):
        bound = bound_for(limit, entry.source)
        missed += max(0.0, bound.violation(entry.metrics[limit.metric].value)) / (abs(bound.bound) or 1.0)
    return missed, not entry.on_front, entry.distance if isfinite(entry.distance) else inf


def open_lines(ranking: Ranking, entry: Ranked) -> list[str]:
    """What is not known of a candidate's limits, in sentences."""
    lines = []
    for limit in open_limits(ranking, entry):
        title, quantity = metric_info(limit.metric).title.lower(), entry.metrics[limit.metric]
        bound = bound_for(limit, entry.source)
        side = "kept" if bound.violation(quantity.value) <= 0 else "missed"
        lines.append(
            f"The limit {limit.text!r} is expected to be {side}, but is within the range of the estimate: "
            f"{title} {quantity_text(limit.metric, quantity)}."
        )
    return lines


def others_open(ranking: Ranking) -> str:
    """Who else may meet every limit; empty where nobody does."""
    named = [f"#{e.number}" for e in ranking.entries if not e.feasible and open_limits(ranking, e)]
    return f"May meet every limit as well, by estimate: {listed(named)}." if named else ""


def sure_lines(record: StudyRecord, entry: Ranked, ties: Sequence[int]) -> tuple[str, ...]:
    """How sure an answer is that rests on estimates."""
    assert record.estimated is not None
    known = record.estimated
    said = [
        f"Nothing of this was taken on {known.device}: what it would show is estimated, each number with a "
        f"range that holds the true value {IN_CASES}. Quality was scored on this machine, "
        + ("on the test split." if entry.source == "test" else "on the validation split."),
        *known.basis,
    ]
    if known.brought:
        count = len({one.artifact for one in known.brought})
        said.append(f"Corrected by {count} {'artifact' if count == 1 else 'artifacts'} timed on the device.")
    if ties:
        said.append(f"Not told apart by these estimates from {listed(f'#{number}' for number in ties)}.")
    if known.to_measure:
        named = joined([f"#{number}" for number in known.to_measure])
        said.append(f"What to time on the device first, to make all of this surer: {named}.")
    return tuple(said)


def headline_of(record: StudyRecord, ranking: Ranking, number: int) -> str:
    """The answer in a sentence, where something meets the limits, may meet them, or is nearest to that."""
    name = name_of(record, number)
    if ranking.best is not None:
        return f"Expected best: {name}."
    if undecided(ranking) is not None:
        return f"Not decided: {name} may meet every limit, within the range of its estimates."
    return f"No candidate is expected to meet every limit. The nearest is {name}."
