"""Another answer from a finished study: other limits, other preferences, nothing is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

from ...profiles.errors import UserError
from ...search.ranking.estimated import limits_text
from ...search.ranking.known import trial_of
from ...search.ranking.reading import Reading, read
from ...search.ranking.runner_up import runner_up
from ...search.ranking.sentences import name_of, quantity_text
from ...search.ranking.verdict import Verdict
from ...search.record.evaluation import Limit, StudyRecord
from ...search.record.metrics import metric_info
from ..content.columns import columns, number
from ..content.runner_up import why_not_lines
from ..content.side_by_side import side_by_side


def choose(
    record: StudyRecord, where: Sequence[Limit] = (), prefer: Mapping[str, float] | None = None
) -> Reading:
    """Ask the study again. A limit replaces the study's own on the same metric and side; the others stay.

    `prefer` gives weights for objectives, by metric name.

    Raises:
        UserError: a preference names no objective or has no usable weight; a limit is on a metric that no
            candidate of this study has.
    """
    limits = _merged(record.limits, where)
    weights = _weights(record, prefer or {})
    _check_known(record, where)
    return read(record, limits, weights)


def _merged(own: Sequence[Limit], where: Sequence[Limit]) -> tuple[Limit, ...]:
    replaced = {(limit.metric, limit.upper) for limit in where}
    return (*(limit for limit in own if (limit.metric, limit.upper) not in replaced), *where)


def _weights(record: StudyRecord, prefer: Mapping[str, float]) -> dict[str, float]:
    own = {objective.metric: objective.weight for objective in record.objectives}
    for metric, weight in prefer.items():
        if metric not in own:
            raise UserError(
                f"{metric!r} is not an objective of this study",
                accepted=", ".join(own),
                remedy="limits can be on any metric: use --where for it",
            )
        if not isfinite(weight) or weight < 0:
            raise UserError(
                f"the weight of {metric} cannot be used",
                found=str(weight),
                accepted="a number of 0 or more (0 leaves the objective out)",
            )
    weights = {**own, **prefer}
    if not any(weights.values()):
        raise UserError("every weight is 0", remedy="give at least one objective a weight above 0")
    return weights


def _check_known(record: StudyRecord, where: Sequence[Limit]) -> None:
    measured = {metric for t in record.trials for metric in (*t.evaluation.metrics, *t.evaluation.gate)}
    measured |= {metric for finalist in record.finalists for metric in finalist.side_effects}
    for limit in where:
        if measured and limit.metric not in measured:
            raise UserError(
                f"no candidate of this study has the metric {limit.metric}",
                found=limit.text,
                accepted=", ".join(sorted(measured)),
            )


def choice_text(reading: Reading, count: int = 5) -> str:
    """The answer as text: verdict, limits and weights, and the first candidates of the ranking."""
    record, ranking, answer = reading.record, reading.ranking, reading.verdict
    limits = "; ".join(limit.text for limit in ranking.limits) or "none"
    weights = ", ".join(f"{metric_info(m).title} {weight:g}" for m, weight in ranking.weights.items())
    lines = [*_first(answer), *answer.lines, *answer.sure, "", f"Limits: {limits}", f"Weights: {weights}", ""]
    for entry in ranking.entries[:count]:
        numbers = ", ".join(_numbers(record, entry.number))
        mark = "=" if entry.tie else " "
        over = "" if entry.feasible else f"  {limits_text(ranking, entry)}"
        lines.append(f"{entry.rank:>3}{mark} {name_of(record, entry.number)}: {numbers}{over}")
    return "\n".join(lines)


def explained_text(reading: Reading) -> str:
    """Why the next best is not the answer."""
    why = runner_up(reading)
    if why is None:
        return "\nThere is no other candidate that was built, trained and scored to the end."
    return "\n".join(["", *why_not_lines(reading.record, why)])


def _numbers(record: StudyRecord, trial: int) -> list[str]:
    """A candidate's numbers; what depends on the samples names the split."""
    found = ((column, number(record, trial_of(record, trial), column)) for column in columns(record))
    return [
        f"{quantity_text(column.metric, quantity)}{f' on {column.split}' if column.split else ''}"
        for column, quantity in found
        if quantity is not None
    ]


def verdict_text(answer: Verdict) -> str:
    """The answer, each sentence on a line."""
    return "\n".join([*_first(answer), *(f"  {line}" for line in (*answer.lines, *answer.sure))])


def _first(answer: Verdict) -> list[str]:
    return [line for line in (answer.provisional, answer.headline, *answer.warnings) if line]


def both_text(first: Reading, other: Reading) -> str:
    """What two devices say of the same models, each sentence on a line."""
    both = side_by_side(first, other)
    return "\n".join([f"On {both.devices[0]} and on {both.devices[1]}:", *(f"  {s}" for s in both.sentences)])
