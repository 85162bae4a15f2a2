"""Another answer from a finished study: other limits, other preferences, nothing is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan

from ..profiles.errors import UserError
from ..search.constraints import LimitSpec, metric_name, parse_limit, resolve
from ..search.evaluation import Limit, Quantity, StudyRecord
from ..search.metrics import metric_info
from ..search.ranking import TEST, Ranking, complete_trials, known_metrics, rank
from ..search.sentences import name_of, quantity_text
from ..search.verdict import Verdict, verdict
from .views import shown_metrics


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The answer under these limits and weights. `limits` are all that were applied."""

    verdict: Verdict
    ranking: Ranking
    limits: tuple[Limit, ...]
    weights: Mapping[str, float]

    @property
    def exit_code(self) -> int:
        """That of the verdict."""
        return self.verdict.exit_code


def choose(
    record: StudyRecord, where: Sequence[Limit] = (), prefer: Mapping[str, float] | None = None
) -> Choice:
    """Ask the study again. A limit replaces the study's own on the same metric and side; the others stay.

    `prefer` gives weights for objectives, by metric name.

    Raises:
        UserError: a preference names no objective or has no usable weight; a limit is on a metric that no
            candidate of this study has.
    """
    limits = _merged(record.limits, where)
    weights = _weights(record, prefer or {})
    _check_known(record, where)
    return Choice(
        verdict=verdict(record, limits, weights),
        ranking=rank(record, limits, weights),
        limits=limits,
        weights=weights,
    )


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
    for limit in where:
        if measured and limit.metric not in measured:
            raise UserError(
                f"no candidate of this study has the metric {limit.metric}",
                found=limit.text,
                accepted=", ".join(sorted(measured)),
            )


def choice_text(record: StudyRecord, choice: Choice, count: int = 5) -> str:
    """The answer as text: verdict, limits and weights, and the first candidates of the ranking."""
    answer = choice.verdict
    limits = "; ".join(limit.text for limit in choice.limits) or "none"
    weights = ", ".join(f"{metric_info(m).title} {weight:g}" for m, weight in choice.weights.items())
    lines = [answer.headline, *answer.lines, *answer.sure, "", f"Limits: {limits}", f"Weights: {weights}", ""]
    for entry in choice.ranking.entries[:count]:
        numbers = ", ".join(
            quantity_text(metric, entry.metrics[metric])
            for metric in shown_metrics(record)
            if metric in entry.metrics
        )
        mark = "=" if entry.tie else " "
        over = "" if entry.feasible else "  over a limit"
        lines.append(f"{entry.rank:>3}{mark} {name_of(record, entry.number)}: {numbers}{over}")
    return "\n".join(lines)


def choose_text(record: StudyRecord, where: Sequence[str], prefer: Sequence[str]) -> tuple[str, int]:
    """The answer to limits and preferences as users write them, and its exit code.

    `where` holds limits as in study files, `prefer` texts such as "latency=2".

    Raises:
        UserError: one of them cannot be read or cannot be used with this study.
    """
    limits = [read_limit(record, text) for text in where]
    choice = choose(record, limits, read_weights(record, prefer))
    return choice_text(record, choice), choice.exit_code


def read_limit(record: StudyRecord, text: str) -> Limit:
    """A limit as written, with what it says of the teacher resolved from the study's own measurements."""
    spec = parse_limit(text, record.quality)
    values = {name: q.value for name, q in _teacher_metrics(record).items()}
    limit = resolve(spec, values)
    if not spec.relative or spec.metric != record.quality:
        return limit
    on_test = _teacher_on_test(record)
    if on_test is None:
        return limit
    return replace(limit, bound_on_test=resolve(spec, {**values, record.quality: on_test}).bound)


def _reference(record: StudyRecord) -> int | None:
    """The uncompressed teacher that limits refer to: the first simple choice of the study."""
    simple = [trial.number for trial in complete_trials(record) if trial.evaluation.baseline]
    return min(simple, default=None)


def _teacher_metrics(record: StudyRecord) -> Mapping[str, Quantity]:
    number = _reference(record)
    found = next((t for t in record.trials if t.number == number), None)
    return {} if found is None else found.evaluation.metrics


def _teacher_on_test(record: StudyRecord) -> float | None:
    """The teacher's quality on the test split, if it was a finalist or a limit of the study tells it."""
    number = _reference(record)
    if number is not None:
        metrics, source = known_metrics(record, number)
        if source == TEST and record.quality in metrics:
            return metrics[record.quality].value
    for limit in record.limits:
        if limit.metric == record.quality and limit.bound_on_test is not None:
            spec: LimitSpec = parse_limit(limit.text, record.quality)
            if spec.relative and spec.teacher_factor:
                return (limit.bound_on_test - spec.teacher_offset) / spec.teacher_factor
    return None


def read_weights(record: StudyRecord, prefer: Sequence[str]) -> dict[str, float]:
    """Weights by metric from texts such as "latency=2"."""
    weights: dict[str, float] = {}
    for text in prefer:
        name, equals, number = (part.strip() for part in text.partition("="))
        try:
            weight = float(number)
        except ValueError:
            weight = nan
        if not equals or not isfinite(weight):
            raise UserError(
                "cannot read this preference", found=repr(text), accepted="NAME=WEIGHT, say latency=2"
            )
        weights[metric_name(name, record.quality)] = weight
    return weights
