"""Why the next in a ranking is not the answer: which limit it misses, or what it loses and by how much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from ..record.evaluation import Limit, Quantity, StudyRecord
from ..record.quality import higher_is_better
from ..record.samples import difference
from .as_run import gain
from .distance import by_factors
from .fleet import Contender, Fleet, Placement
from .known import TEST, bound_for, decisive, point_of
from .losses import faster
from .pareto import better, dominates, tied
from .ranking import Ranked, comparable, latency_metric
from .reading import Reading
from .verdict import quotient


class Decided(str, Enum):
    """What put one candidate behind another, in the order in which a ranking asks."""

    LIMITS = "limits"  # it misses limits that the other meets, or misses them by more
    SPLIT = "split"  # the other was checked on test, it was not
    FRONT = "front"  # a third, or the other, is at least as good on all and better beyond error on one
    DISTANCE = "distance"  # it is farther from the ideal, by the weights
    TIE = "tie"  # they cannot be told apart: the measured values alone put one first
    SIMPLE = "simple"  # it is first, but no better than a simple choice
    REGRET = "regret"  # of a fleet: on one device it loses more than the other does on any
    MEAN = "mean"  # of a fleet: the largest regret is the same, the mean is not


class Versus(str, Enum):
    """How the runner-up stands against the answer on one metric."""

    BETTER, WORSE, TIE, UNKNOWN = "better", "worse", "tie", "unknown"


@dataclass(frozen=True, kw_only=True)
class MissedLimit:
    """A limit that a candidate misses: by `miss` in the metric's unit (None: it was not measured)."""

    limit: Limit
    value: Quantity | None
    miss: float | None


@dataclass(frozen=True, kw_only=True)
class MetricGap:
    """The runner-up against the answer on one metric. `change` is its value over that of the answer where
    `by_factors`, else its value minus that; paired where both were taken on the same samples or in the same
    rounds. `objective`: it counts in the ranking; else only a limit asks for it."""

    metric: str
    runner_up: Quantity | None
    answer: Quantity | None
    change: Quantity | None
    by_factors: bool
    standing: Versus
    objective: bool


@dataclass(frozen=True, kw_only=True)
class WhyNot:
    """Why candidate `number` is not the answer, which is `answer`. `missed` are the limits that it misses,
    `answer_missed` those that the answer misses; `beaten_by` are those that beat it, `distances` those of
    both to the ideal (the runner-up's first)."""

    number: int
    answer: int
    decided: Decided
    missed: tuple[MissedLimit, ...]
    answer_missed: tuple[MissedLimit, ...]
    gaps: tuple[MetricGap, ...]
    beaten_by: tuple[int, ...] = ()
    distances: tuple[float, float] = (0.0, 0.0)


def runner_up(reading: Reading) -> WhyNot | None:
    """Why the first in the ranking beside the answer lost; None where there is no answer, or no other."""
    answer = reading.recommended
    others = [entry for entry in reading.ranking.entries if answer and entry.number != answer.number]
    return None if answer is None or not others else why_not(reading, others[0], answer)


def why_not(reading: Reading, entry: Ranked, answer: Ranked) -> WhyNot:
    """Why one candidate stands behind another."""
    beaten = _beaten_by(reading, entry)
    return WhyNot(
        number=entry.number,
        answer=answer.number,
        decided=_decided(reading, entry, answer, bool(beaten)),
        missed=_missed(reading, entry),
        answer_missed=_missed(reading, answer),
        gaps=_gaps(reading, entry, answer),
        beaten_by=beaten,
        distances=(entry.distance, answer.distance),
    )


def _decided(reading: Reading, entry: Ranked, answer: Ranked, beaten: bool) -> Decided:
    order = [one.number for one in reading.ranking.entries]
    if not entry.feasible:
        return Decided.LIMITS
    if order.index(entry.number) < order.index(answer.number):
        return Decided.SIMPLE
    if answer.source == TEST and entry.source != TEST:
        return Decided.SPLIT
    if not entry.on_front and beaten:
        return Decided.FRONT
    points = [point_of(reading.record.objectives, one.metrics) for one in (entry, answer)]
    alike = entry.source == answer.source and None not in points
    if alike and tied(*(point for point in points if point is not None)):
        return Decided.TIE
    return Decided.DISTANCE


def _beaten_by(reading: Reading, entry: Ranked) -> tuple[int, ...]:
    """Candidates within the limits that are at least as good on all objectives, and better on one."""
    record, higher = reading.record, [o.higher_is_better for o in reading.record.objectives]
    found = []
    for other in reading.ranking.entries:
        if other.number == entry.number or (entry.feasible and not other.feasible):
            continue
        mine, theirs = (point_of(record.objectives, m) for m in comparable(record, entry, other))
        if mine is not None and theirs is not None and dominates(theirs, mine, higher):
            found.append(other.number)
    return tuple(found)


def _missed(reading: Reading, entry: Ranked) -> tuple[MissedLimit, ...]:
    return tuple(
        _miss(bound_for(limit, entry.source), entry.metrics.get(limit.metric))
        for limit in reading.ranking.limits
        if entry.violations.get(limit.text, 0.0) > 0
    )


def _miss(limit: Limit, value: Quantity | None) -> MissedLimit:
    miss = None if value is None else limit.violation(decisive(limit, value))
    return MissedLimit(limit=limit, value=value, miss=miss)


def _gaps(reading: Reading, entry: Ranked, answer: Ranked) -> tuple[MetricGap, ...]:
    """On each objective, and on what limits ask for beside them."""
    record = reading.record
    objectives = [objective.metric for objective in record.objectives]
    names = dict.fromkeys((*objectives, *(limit.metric for limit in reading.ranking.limits)))
    mine, theirs = comparable(record, entry, answer)
    return tuple(
        _gap(record, name, mine.get(name), theirs.get(name), (entry, answer), name in objectives)
        for name in names
    )


def _gap(
    record: StudyRecord,
    metric: str,
    mine: Quantity | None,
    theirs: Quantity | None,
    entries: tuple[Ranked, Ranked],
    objective: bool,
) -> MetricGap:
    factor = by_factors(metric)
    change, standing = None, Versus.UNKNOWN
    if mine is not None and theirs is not None:
        standing = _standing(mine, theirs, higher_is_better(record, metric))
        ratio = factor and min(mine.value, theirs.value) > 0
        paired = faster(record, *entries) if ratio and metric == latency_metric(record) else None
        apart = quotient(mine, theirs) if ratio else _difference(mine, theirs)
        change, factor = gain(paired) if paired else apart, ratio
    return MetricGap(
        metric=metric,
        runner_up=mine,
        answer=theirs,
        change=change,
        by_factors=factor,
        standing=standing,
        objective=objective,
    )


def _standing(mine: Quantity, theirs: Quantity, higher: bool) -> Versus:
    if better(mine, theirs, higher):
        return Versus.BETTER
    return Versus.WORSE if better(theirs, mine, higher) else Versus.TIE


def _difference(mine: Quantity, theirs: Quantity) -> Quantity:
    low, high = mine.ends[0] - theirs.ends[1], mine.ends[1] - theirs.ends[0]
    apart = Quantity(value=mine.value - theirs.value, low=low, high=high, how="taken apart")
    return difference(mine, theirs) or apart


@dataclass(frozen=True, kw_only=True)
class FleetWhyNot:
    """Why the second configuration of a fleet is not its answer, with the reasons on each device. `hardest`
    is the device that decided."""

    contender: Contender
    answer: Contender
    decided: Decided
    hardest: str
    on: Mapping[str, WhyNot]


def fleet_runner_up(fleet: Fleet) -> FleetWhyNot | None:
    """Why the second lost; None where there is none."""
    if len(fleet.contenders) < 2:
        return None
    answer, second = fleet.contenders[:2]
    return FleetWhyNot(
        contender=second,
        answer=answer,
        decided=_decided_for_all(second, answer),
        hardest=second.hardest,
        on={
            device: _on_device(fleet.readings[device], second.places[device], answer.places[device])
            for device in fleet.readings
        },
    )


def _on_device(reading: Reading, second: Placement, answer: Placement) -> WhyNot:
    return why_not(reading, second.entry, answer.entry)


def _decided_for_all(second: Contender, answer: Contender) -> Decided:
    if not second.feasible:
        return Decided.LIMITS
    if second.worst > answer.worst:
        return Decided.REGRET
    return Decided.MEAN if second.mean > answer.mean else Decided.TIE
