"""Puts a study's candidates in order: feasible, then non-dominated, then near the ideal point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import exp, inf, log, sqrt

from .evaluation import Limit, Objective, Outcome, Quantity, StudyRecord, TrialRecord
from .metrics import metric_info
from .pareto import Estimate, Point, better, front, tied

TEST, VALIDATION = "test", "validation"


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """One complete candidate in its place.

    Candidates with one `rank` cannot be told apart (`tie` is true then). `source` is "test" where the
    numbers are a finalist's (test split, fresh latency) and "validation" otherwise. `distance` is the
    distance to the ideal point in normalised units; `violations` maps each limit's text to how far it is
    missed (inf: the metric was not measured).
    """

    number: int
    rank: int
    tie: bool
    feasible: bool
    on_front: bool
    source: str
    distance: float
    violations: Mapping[str, float]
    metrics: Mapping[str, Quantity]


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """All complete candidates, best first, with the limits and weights that were applied.

    Distances are taken from `ideal`, the best values on the front, in units of `span`, per objective.
    """

    entries: tuple[Ranked, ...]
    limits: tuple[Limit, ...]
    weights: Mapping[str, float]
    ideal: Mapping[str, float] = field(default_factory=dict)

    @property
    def best(self) -> Ranked | None:
        """The first candidate that meets every limit, if there is one."""
        return next((entry for entry in self.entries if entry.feasible), None)

    def of(self, number: int) -> Ranked | None:
        """The entry of one trial."""
        return next((entry for entry in self.entries if entry.number == number), None)


RULES = (
    "Candidates that meet every limit come first.",
    "Among them, finalists come first: they were scored on the test split and measured again side by side. "
    "All others have validation numbers, and numbers of different splits are never compared.",
    "Then those that no other beats beyond measurement error (the front). A candidate is beaten when another "
    "is better beyond error on one objective and at least as good on all.",
    "Then the distance to the ideal point, weighted by the user's weights. Each objective is scaled so that "
    "the best value on the front is 0 and the worst is 1; times, sizes and counts are compared by factors, "
    "with a factor of two as the least that counts as a whole step.",
    "Candidates whose intervals overlap on every objective cannot be told apart: they share a rank.",
    "Candidates over a limit follow, the smallest miss first.",
)


def known_metrics(record: StudyRecord, number: int) -> tuple[dict[str, Quantity], str]:
    """The best numbers known of a trial and their source: the finalist's over the trial's own."""
    evaluation = trial_of(record, number).evaluation
    for finalist in record.finalists:
        if finalist.number == number:
            return {**evaluation.metrics, **finalist.metrics}, TEST
    return dict(evaluation.metrics), VALIDATION


def trial_of(record: StudyRecord, number: int) -> TrialRecord:
    """The trial of that number.

    Raises:
        KeyError: the study has no such trial.
    """
    for trial in record.trials:
        if trial.number == number:
            return trial
    raise KeyError(number)


def complete_trials(record: StudyRecord) -> list[TrialRecord]:
    """Complete trials, without those that only repeat another one."""
    return [
        trial
        for trial in record.trials
        if trial.duplicate_of is None and trial.evaluation.outcome is Outcome.COMPLETE
    ]


def estimate_of(quantity: Quantity) -> Estimate:
    """A quantity as an estimate; without an interval it counts as exact."""
    low = quantity.value if quantity.low is None else min(quantity.low, quantity.value)
    high = quantity.value if quantity.high is None else max(quantity.high, quantity.value)
    return Estimate(value=quantity.value, low=low, high=high)


def violation_scale(limit: Limit) -> float:
    """What a miss is divided by to compare limits: the bound; for a share, its distance from 100 %."""
    if metric_info(limit.metric).unit == "share":
        return max(1.0 - limit.bound, 0.01)
    return abs(limit.bound) or 1.0


def violations_of(
    limits: Sequence[Limit], metrics: Mapping[str, Quantity], source: str = VALIDATION
) -> dict[str, float]:
    """How far each limit is missed, in its metric's unit; inf where the metric was not measured."""
    return {
        limit.text: bound_for(limit, source).violation(metrics[limit.metric].value)
        if limit.metric in metrics
        else inf
        for limit in limits
    }


def bound_for(limit: Limit, source: str) -> Limit:
    """The limit with the bound that holds for numbers from `source`."""
    if source == TEST and limit.bound_on_test is not None:
        return replace(limit, bound=limit.bound_on_test)
    return limit


def rank(
    record: StudyRecord, where: Sequence[Limit] | None = None, weights: Mapping[str, float] | None = None
) -> Ranking:
    """Rank the complete candidates by the study's limits and weights, or by others.

    `weights` replaces the weights of the objectives that it names.
    """
    limits = tuple(record.limits if where is None else where)
    used = {o.metric: (weights or {}).get(o.metric, o.weight) for o in record.objectives}
    entries = _marked(record, [_unranked(record, trial.number, limits) for trial in complete_trials(record)])
    scale = _Scale.over(record.objectives, [entry for entry in entries if entry.on_front])
    placed = [_placed(entry, scale, used) for entry in entries]
    placed.sort(key=lambda entry: _order(entry, limits))
    grouped = _grouped(record.objectives, placed)
    ideal = {metric: _natural(metric, value) for metric, value in scale.ideal.items()}
    return Ranking(entries=grouped, limits=limits, weights=used, ideal=ideal)


def _unranked(record: StudyRecord, number: int, limits: Sequence[Limit]) -> Ranked:
    metrics, source = known_metrics(record, number)
    violations = violations_of(limits, metrics, source)
    return Ranked(
        number=number,
        rank=0,
        tie=False,
        feasible=all(v <= 0 for v in violations.values()),
        on_front=False,
        source=source,
        distance=inf,
        violations=violations,
        metrics=metrics,
    )


def point_of(objectives: Sequence[Objective], metrics: Mapping[str, Quantity]) -> Point | None:
    """The metrics as a point over the objectives; None where one is missing."""
    if any(objective.metric not in metrics for objective in objectives):
        return None
    return tuple(estimate_of(metrics[objective.metric]) for objective in objectives)


def _marked(record: StudyRecord, entries: Sequence[Ranked]) -> list[Ranked]:
    """Mark the feasible front; the front of all complete candidates where none is feasible.

    Numbers of different splits are never compared: finalists stand against finalists by their test numbers,
    all others against everyone by what the search measured.
    """
    pool = [entry for entry in entries if entry.feasible] or list(entries)
    searched = {entry.number: trial_of(record, entry.number).evaluation.metrics for entry in pool}
    checked = [entry for entry in pool if entry.source == TEST]
    winners = _front_of(record.objectives, {entry.number: entry.metrics for entry in checked})
    winners |= _front_of(record.objectives, searched) - {entry.number for entry in checked}
    return [replace(entry, on_front=entry.number in winners) for entry in entries]


def _front_of(objectives: Sequence[Objective], metrics: Mapping[int, Mapping[str, Quantity]]) -> set[int]:
    points = {number: p for number, m in metrics.items() if (p := point_of(objectives, m)) is not None}
    numbers = list(points)
    kept = front([points[number] for number in numbers], [o.higher_is_better for o in objectives])
    return {numbers[index] for index in kept}


@dataclass(frozen=True, kw_only=True)
class _Scale:
    ideal: Mapping[str, float]
    span: Mapping[str, float]

    @classmethod
    def over(cls, objectives: Sequence[Objective], entries: Sequence[Ranked]) -> _Scale:
        """The scale that these entries span; see `RULES`."""
        ideal, span = {}, {}
        for objective in objectives if entries else ():
            metric = objective.metric
            found = [e.metrics[metric] for e in entries if metric in e.metrics]
            values = [_scaled(metric, quantity.value) for quantity in found]
            ideal[metric] = max(values) if objective.higher_is_better else min(values)
            # A scale finer than the intervals would rank noise, one finer than a factor of two trifles.
            estimates = [estimate_of(quantity) for quantity in found]
            widest = max(_scaled(metric, e.high) - _scaled(metric, e.low) for e in estimates)
            span[metric] = max(max(values) - min(values), widest, log(2) if _by_factors(metric) else 0.0)
        return cls(ideal=ideal, span=span)

    def distance(self, metrics: Mapping[str, Quantity], weights: Mapping[str, float]) -> float:
        """Weighted Euclidean distance to the ideal point; weights count by their share."""
        total = sum(weights.values()) or 1.0
        square = 0.0
        for metric, ideal in self.ideal.items():
            if metric not in metrics:
                return inf
            span = self.span[metric]
            offset = abs(_scaled(metric, metrics[metric].value) - ideal) / span if span else 0.0
            square += weights[metric] / total * offset**2
        return sqrt(square)


def _by_factors(metric: str) -> bool:
    """Whether a metric is compared by factors (times, bytes, counts) and not by differences."""
    return metric_info(metric).unit in ("ms", "bytes", "count")


def _natural(metric: str, scaled: float) -> float:
    return exp(scaled) if _by_factors(metric) else scaled


def _scaled(metric: str, value: float) -> float:
    return log(max(value, 1e-12)) if _by_factors(metric) else value


def _placed(entry: Ranked, scale: _Scale, weights: Mapping[str, float]) -> Ranked:
    return replace(entry, distance=scale.distance(entry.metrics, weights))


def _order(entry: Ranked, limits: Sequence[Limit]) -> tuple[bool, float, bool, bool, float, int]:
    miss = 0.0 if entry.feasible else normalised_miss(limits, entry.violations)
    unchecked = entry.source != TEST
    return (not entry.feasible, miss, unchecked, not entry.on_front, entry.distance, entry.number)


def normalised_miss(limits: Sequence[Limit], violations: Mapping[str, float]) -> float:
    """The sum of the misses, each divided by its limit's scale."""
    return sum(max(violations.get(limit.text, 0.0), 0.0) / violation_scale(limit) for limit in limits)


def _grouped(objectives: Sequence[Objective], entries: Sequence[Ranked]) -> tuple[Ranked, ...]:
    """Give ranks; a candidate joins the group before it when it ties with that group's first one.

    Ties with the first, not with the last: a chain of small steps must not join the ends.
    """
    groups: list[list[Ranked]] = []
    for entry in entries:
        if groups and _same_rank(objectives, groups[-1][0], entry):
            groups[-1].append(entry)
        else:
            groups.append([entry])
    ranked: list[Ranked] = []
    for group in groups:
        place = len(ranked) + 1
        ranked += [replace(entry, rank=place, tie=len(group) > 1) for entry in group]
    return tuple(ranked)


def _same_rank(objectives: Sequence[Objective], a: Ranked, b: Ranked) -> bool:
    if (a.feasible, a.on_front) != (b.feasible, b.on_front):
        return False
    one, two = point_of(objectives, a.metrics), point_of(objectives, b.metrics)
    return one is not None and two is not None and tied(one, two)


def latency_metric(record: StudyRecord) -> str:
    """The latency that the study is about: the first latency among objectives, then limits."""
    named = [o.metric for o in record.objectives] + [limit.metric for limit in record.limits]
    return next((name for name in named if name.startswith("latency_")), "latency_ms")


def strongest_simple_choice(record: StudyRecord, where: Sequence[Limit] | None = None) -> int | None:
    """Trial number of the strongest simple choice; None where no simple choice is complete.

    That is the fastest, then the smallest, among the uncompressed teacher on each backend at each simple
    precision, as long as its quality is within the limits. The study's own is kept while it meets them,
    because finalists were timed against it. Where none meets them, the fastest of all counts.
    """
    limits = [
        limit for limit in (record.limits if where is None else where) if limit.metric == record.quality
    ]
    simple = [trial.number for trial in complete_trials(record) if trial.evaluation.baseline]
    known = {number: known_metrics(record, number) for number in simple}
    good = [n for n in simple if all(v <= 0 for v in violations_of(limits, *known[n]).values())]
    if record.baseline in good:
        return record.baseline
    latency = latency_metric(record)

    def cost(number: int) -> tuple[float, float]:
        metrics = known[number][0]
        return _value(metrics, latency), _value(metrics, "size_bytes")

    return min(good or simple, key=cost, default=None)


def _value(metrics: Mapping[str, Quantity], name: str) -> float:
    return metrics[name].value if name in metrics else inf


def beats(record: StudyRecord, a: Ranked, b: Ranked) -> list[str]:
    """The objectives on which `a` is better than `b` beyond error."""
    return [
        o.metric
        for o in record.objectives
        if o.metric in a.metrics
        and o.metric in b.metrics
        and better(estimate_of(a.metrics[o.metric]), estimate_of(b.metrics[o.metric]), o.higher_is_better)
    ]
