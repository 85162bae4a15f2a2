"""Puts a study's candidates in order: feasible, then non-dominated, then near the ideal point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, log

from ..record.evaluation import Limit, Objective, Quantity, StudyRecord, met
from .distance import DistanceScale, by_factors, scaled
from .known import (
    TEST,
    VALIDATION,
    Metrics,
    complete_trials,
    known_metrics,
    limits_on,
    point_of,
    searched_metrics,
    trial_of,
    violation_scale,
    violations,
)
from .pareto import Point, better, front, tied

TRIFLE = 1.05  # a time or size better by less is no reason to leave the simple choice


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """One complete candidate in its place.

    Candidates with one `rank` cannot be told apart (`tie` is true then). `source` is "test" where the
    numbers are a finalist's (test split, fresh latency) and "validation" otherwise. `distance` is that
    to the ideal point (`DistanceScale`) among candidates of the same source. `violations` maps each limit's
    text to how far it is missed (inf: the metric was not measured).
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

    `ideal` has the best value of each objective on the front: that of the finalists where any is on it.
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
    "the best value on the front is 0 and the worst at most 1. Times, sizes and counts are compared by "
    "factors, and a factor counts the same in each of them; the least that counts as 1 is a factor of two.",
    "Two scores on the same samples differ beyond error where the 95 % interval of their difference, paired "
    "sample by sample, leaves out 0; all other numbers where their intervals do not overlap.",
    "Candidates that differ on no objective beyond error cannot be told apart: they share the rank of the "
    "one nearest to the ideal, which stands first among them.",
    "Candidates over a limit follow, the smallest miss first.",
    "Recommended is the first; but the strongest simple choice where the first is better than it on no "
    "objective beyond error (and, in times, sizes and counts, by more than 5 %).",
)


def rank(
    record: StudyRecord, where: Sequence[Limit] | None = None, weights: Mapping[str, float] | None = None
) -> Ranking:
    """Rank the complete candidates by the study's limits and weights, or by others.

    `weights` replaces the weights of the objectives that it names.
    """
    limits = tuple(record.limits if where is None else where)
    used = {o.metric: (weights or {}).get(o.metric, o.weight) for o in record.objectives}
    trials = complete_trials(record)
    searched = {trial.number: searched_metrics(trial) for trial in trials}
    entries = _marked(record.objectives, [_unranked(record, n, limits) for n in searched], searched)
    scales = _scales(record.objectives, entries, searched)
    placed = [replace(e, distance=scales[e.source].distance(e.metrics, used)) for e in entries]
    placed.sort(key=lambda entry: _order(entry, limits))
    ideal = (scales[TEST] if scales[TEST].ideal else scales[VALIDATION]).ideal_values()
    return Ranking(entries=_grouped(record.objectives, placed), limits=limits, weights=used, ideal=ideal)


def _unranked(record: StudyRecord, number: int, limits: Sequence[Limit]) -> Ranked:
    metrics, source = known_metrics(record, number)
    missed = violations(limits, metrics, source)
    return Ranked(
        number=number,
        rank=0,
        tie=False,
        feasible=met(missed),
        on_front=False,
        source=source,
        distance=inf,
        violations=missed,
        metrics=metrics,
    )


def _marked(
    objectives: Sequence[Objective], entries: Sequence[Ranked], searched: Mapping[int, Metrics]
) -> list[Ranked]:
    """Mark the feasible front; the front of all complete candidates where none is feasible.

    Numbers of different splits are never compared: finalists stand against finalists by their test numbers,
    all others against everyone by what the search measured.
    """
    pool = [entry for entry in entries if entry.feasible] or list(entries)
    checked = {entry.number: entry.metrics for entry in pool if entry.source == TEST}
    winners = _front_of(objectives, checked)
    winners |= _front_of(objectives, {entry.number: searched[entry.number] for entry in pool}) - set(checked)
    return [replace(entry, on_front=entry.number in winners) for entry in entries]


def _scales(
    objectives: Sequence[Objective], entries: Sequence[Ranked], searched: Mapping[int, Metrics]
) -> dict[str, DistanceScale]:
    """The scale of the finalists by their test numbers, and that of all others by validation numbers."""
    front_entries = [entry for entry in entries if entry.on_front]
    return {
        TEST: DistanceScale.over(
            objectives, [entry.metrics for entry in front_entries if entry.source == TEST]
        ),
        VALIDATION: DistanceScale.over(objectives, [searched[entry.number] for entry in front_entries]),
    }


def _front_of(objectives: Sequence[Objective], metrics: Mapping[int, Metrics]) -> set[int]:
    points = {number: p for number, m in metrics.items() if (p := point_of(objectives, m)) is not None}
    numbers = list(points)
    kept = front([points[number] for number in numbers], [o.higher_is_better for o in objectives])
    return {numbers[index] for index in kept}


def _order(entry: Ranked, limits: Sequence[Limit]) -> tuple[bool, float, bool, bool, float, int]:
    miss = 0.0 if entry.feasible else normalised_miss(limits, entry.violations)
    unchecked = entry.source != TEST
    return (not entry.feasible, miss, unchecked, not entry.on_front, entry.distance, entry.number)


def normalised_miss(limits: Sequence[Limit], violations: Mapping[str, float]) -> float:
    """The sum of the misses, each divided by its limit's scale."""
    return sum(max(violations.get(limit.text, 0.0), 0.0) / violation_scale(limit) for limit in limits)


def _grouped(objectives: Sequence[Objective], entries: Sequence[Ranked]) -> tuple[Ranked, ...]:
    """Give ranks: the first shares its with all that tie with it, then the first of the rest, and so on.

    Ties are with the first of a group: a chain of small steps must not join its ends. On the front, where no
    one beats another, those that tie are looked for past others; elsewhere only right behind.
    """
    points = {entry.number: point_of(objectives, entry.metrics) for entry in entries}
    left, ranked = list(entries), list[Ranked]()
    while left:
        first, place = left[0], len(ranked) + 1
        group, others = [first], list[Ranked]()
        for index, entry in enumerate(left[1:], start=1):
            if _alike(first, entry, points):
                group.append(entry)
            elif _same_class(first, entry) and first.on_front:
                others.append(entry)
            else:
                others += left[index:]
                break
        ranked += [replace(entry, rank=place, tie=len(group) > 1) for entry in group]
        left = others
    return tuple(ranked)


def _same_class(a: Ranked, b: Ranked) -> bool:
    return (a.feasible, a.on_front, a.source) == (b.feasible, b.on_front, b.source)


def _alike(a: Ranked, b: Ranked, points: Mapping[int, Point | None]) -> bool:
    one, two = points[a.number], points[b.number]
    return _same_class(a, b) and one is not None and two is not None and tied(one, two)


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
    limits = limits_on([record.quality], record.limits if where is None else where)
    simple = [trial.number for trial in complete_trials(record) if trial.evaluation.baseline]
    known = {number: known_metrics(record, number) for number in simple}
    good = [n for n in simple if met(violations(limits, *known[n]))]
    if record.baseline in good:
        return record.baseline
    latency = latency_metric(record)

    def cost(number: int) -> tuple[float, float]:
        metrics = known[number][0]
        return _value(metrics, latency), _value(metrics, "size_bytes")

    return min(good or simple, key=cost, default=None)


def _value(metrics: Mapping[str, Quantity], name: str) -> float:
    return metrics[name].value if name in metrics else inf


def worth_it(record: StudyRecord, a: Ranked, b: Ranked) -> list[str]:
    """The objectives on which it is worth having `a` in place of `b`: better beyond error, and by no trifle.

    Numbers of the same split are compared.
    """
    mine, theirs = comparable(record, a, b)
    return [
        o.metric
        for o in record.objectives
        if o.metric in mine
        and o.metric in theirs
        and better(mine[o.metric], theirs[o.metric], o.higher_is_better)
        and not _trifle(o.metric, mine[o.metric].value, theirs[o.metric].value)
    ]


def _trifle(metric: str, a: float, b: float) -> bool:
    return by_factors(metric) and abs(scaled(metric, a) - scaled(metric, b)) <= log(TRIFLE)


def comparable(record: StudyRecord, a: Ranked, b: Ranked) -> tuple[Metrics, Metrics]:
    """The numbers by which two may be compared: those they are ranked by where both are of one split, else
    what the search measured of both.
    """
    if a.source == b.source:
        return a.metrics, b.metrics
    one, two = (searched_metrics(trial_of(record, entry.number)) for entry in (a, b))
    return one, two
