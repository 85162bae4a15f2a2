"""What a search can be held against: what hindsight can do, and training by size without any search."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from paretune.search.record.candidate import Candidate

from benchmarks.simulation.recorded import Point, Recorded, RecordedTraining, Row
from benchmarks.simulation.runs import Run
from benchmarks.simulation.summary import moment


@dataclass(frozen=True, kw_only=True)
class DearModel:
    """A student at a sparsity: what it takes to train it, and what its variants are worth."""

    title: str
    trainings: tuple[RecordedTraining, ...]
    points: tuple[Point, ...]
    macs: float

    def seconds(self, trained: set[str]) -> float:
        """Of what is not trained yet."""
        return sum(one.seconds for one in self.trainings if one.key not in trained)


def yardsticks(table: Recorded, goals: Sequence[float]) -> dict[str, Run]:
    """By name, as runs of a strategy; what they spend beside trainings is not counted."""
    models = models_of(table)
    start = [point for model in models if not model.trainings for point in model.points]
    dear = [model for model in models if model.trainings]
    by_size = _paid(table, start, sorted(dear, key=lambda model: model.macs))
    best = [_paid(table, start, clairvoyant(table, start, dear, goal))[-1] for goal in goals]
    return {"clairvoyant": _run(best), "smallest-first": _run(by_size)}


def soonest(table: Recorded, goal: float) -> float:
    """Seconds in which any number of workers and devices, who know every result, come to that share of the
    true hypervolume: all begins at once, and each candidate is there when its own steps have been done."""
    found = list[tuple[float, Point]]()
    for candidate in table.space.candidates():
        row, point = table.row(candidate), table.true(candidate)
        if row is not None and point is not None:
            trained = sum(training.seconds for training in row.trainings)
            found.append((trained + row.compile_seconds + row.score_seconds + row.measure_seconds, point))
    found.sort()
    points = [point for _, point in found]
    enough = bisect_left(range(len(found)), goal, key=lambda last: table.share(points[: last + 1]))
    return found[min(enough, len(found) - 1)][0]


def models_of(table: Recorded) -> list[DearModel]:
    """All models, in the order of the space, each with what is known of its variants that can exist."""
    found: dict[tuple[object, str], list[tuple[Candidate, Row]]] = {}
    for candidate in table.space.candidates():
        row = table.row(candidate)
        if row is not None and not row.refused:
            found.setdefault((candidate.student, candidate.sparsity), []).append((candidate, row))
    return [_model(table, rows) for rows in found.values()]


def _model(table: Recorded, rows: Sequence[tuple[Candidate, Row]]) -> DearModel:
    candidate, row = rows[0]
    points = dict.fromkeys(point for other, _ in rows if (point := table.true(other)) is not None)
    return DearModel(
        title=candidate.title,
        trainings=row.trainings,
        points=tuple(points),
        macs=row.hardware.get("macs", 0.0),
    )


def clairvoyant(
    table: Recorded, start: Sequence[Point], models: Sequence[DearModel], goal: float
) -> list[DearModel]:
    """What to train for that share of the true hypervolume by someone who knows every result: the most
    volume for a second first, then without what was not needed, then one model in the place of one or two
    while that is cheaper. Close to the least, not proven to be it."""
    chosen: list[DearModel] = []
    while (share := _share(table, start, chosen)) < goal:
        trained = _trained(chosen)
        left = [model for model in models if model not in chosen]
        chosen.append(max(left, key=lambda one: _rate(table, start, chosen, one, share, trained)))
    for model in sorted(chosen, key=lambda one: -one.seconds(set())):
        fewer = [one for one in chosen if one is not model]
        if _share(table, start, fewer) >= goal:
            chosen = fewer
    while better := _cheaper(table, start, models, goal, chosen):
        chosen = better
    return chosen


def _cheaper(
    table: Recorded,
    start: Sequence[Point],
    models: Sequence[DearModel],
    goal: float,
    chosen: Sequence[DearModel],
) -> list[DearModel]:
    """The cheapest choice that is enough, with one model in the place of one or two; empty: there is none."""
    dropped = (*((one,) for one in chosen), *combinations(chosen, 2))
    kept = [[one for one in chosen if one not in out] for out in dropped]
    tried = sorted(((_cost([*few, new]), few, new) for few in kept for new in models), key=lambda one: one[0])
    now = _cost(chosen)
    cheaper = ([*few, new] for cost, few, new in tried if cost < now)
    return next((some for some in cheaper if _share(table, start, some) >= goal), [])


def _cost(models: Sequence[DearModel]) -> float:
    return sum({training.key: training.seconds for one in models for training in one.trainings}.values())


def _rate(
    table: Recorded,
    start: Sequence[Point],
    chosen: Sequence[DearModel],
    model: DearModel,
    share: float,
    trained: set[str],
) -> float:
    return (_share(table, start, [*chosen, model]) - share) / max(model.seconds(trained), 1e-9)


def _share(table: Recorded, start: Sequence[Point], models: Sequence[DearModel]) -> float:
    return table.share([*start, *(point for model in models for point in model.points)])


def _trained(models: Sequence[DearModel]) -> set[str]:
    return {training.key for model in models for training in model.trainings}


def _paid(table: Recorded, start: Sequence[Point], models: Sequence[DearModel]) -> list[list[float]]:
    """The moments of a run that trains these one after the other."""
    moments = [moment(0.0, 0.0, 0, _share(table, start, []), 0.0, 0)]
    seconds, trained = 0.0, set[str]()
    for count, model in enumerate(models, start=1):
        seconds += model.seconds(trained)
        trained |= _trained([model])
        share, begun = _share(table, start, models[:count]), len(trained)
        moments.append(moment(seconds, seconds, begun, share, float(begun), begun))
    return moments


def _run(moments: list[list[float]]) -> Run:
    return {"history": moments, "share": moments[-1][3], "measured": 0, "trials": len(moments)}
