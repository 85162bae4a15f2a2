"""What the time bought: the hypervolume of the front against time spent, as plain Plotly data."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from ...search.ranking.distance import scaled
from ...search.ranking.known import complete_trials, searched_metrics
from ...search.ranking.pareto import hypervolume_history
from ...search.record.evaluation import StudyRecord
from ...search.record.training import trainings_met
from ..content.trainings import training_seconds
from .plots import GOOD, Figure

Steps = Sequence[tuple[float, float]]
BEYOND = 1.1  # the reference lies a tenth beyond the worst values, so that those count as well


def hypervolume_figure(record: StudyRecord) -> Figure | None:
    """Share of the space between the worst and the best values that the front covers, against time spent.

    Time is that of training; where nothing is trained, that of evaluating. None with fewer than two points.
    """
    steps = hypervolume_steps(record)
    if len(steps) < 2:
        return None
    spent = "Training time" if trains(record) else "Evaluation time"
    last = steps[-1][0]
    unit, seconds = ("h", 3600.0) if last > 2 * 3600 else ("min", 60.0) if last > 120 else ("s", 1.0)
    drawn = [(moment / seconds, volume) for moment, volume in steps]
    return {
        "data": [_line(record, drawn, unit)],
        "layout": {
            "xaxis": {"title": {"text": f"{spent} ({unit})"}, "range": [0, 1.02 * drawn[-1][0]]},
            "yaxis": {"title": {"text": "Hypervolume (share)"}, "rangemode": "tozero"},
            "hovermode": "closest",
        },
    }


def _line(record: StudyRecord, drawn: Steps, unit: str) -> Figure:
    light, dark = GOOD
    done = accumulate(sum(not s.cached for s in trainings_met(trial.evaluation)) for trial in record.trials)
    trained = [f", {count} trainings" if trains(record) else "" for count in done]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "front",
        "line": {"shape": "hv", "width": 2.5},
        "x": [x for x, _ in drawn],
        "y": [y for _, y in drawn],
        "customdata": [f"#{t.number}{text}" for t, text in zip(record.trials, trained, strict=True)],
        "hovertemplate": f"%{{x:.2f}} {unit}, %{{customdata}}: %{{y:.3f}}<extra></extra>",
        "meta": {"light": light, "dark": dark},
        "showlegend": False,
    }


def trains(record: StudyRecord) -> bool:
    """Whether time was spent on training."""
    return any(training_seconds(trial) > 0 for trial in record.trials)


def hypervolume_steps(record: StudyRecord) -> list[tuple[float, float]]:
    """`(seconds spent, hypervolume)` after each trial.

    The volume is the share of the space between the worst and the best values of the candidates within the
    limits (of all, where none is). Times, sizes and counts are logarithms.
    """
    done = complete_trials(record)
    names = [objective.metric for objective in record.objectives]
    usable = [trial for trial in done if trial.evaluation.feasible] or done
    vectors = {
        trial.number: tuple(scaled(name, metrics[name].value) for name in names)
        for trial in usable
        if all(name in (metrics := searched_metrics(trial)) for name in names)
    }
    if not vectors:
        return []
    points = _between(vectors, [objective.higher_is_better for objective in record.objectives])
    training = trains(record)
    spent = [training_seconds(t) if training else t.seconds for t in record.trials]
    found = hypervolume_history(
        [points.get(trial.number) for trial in record.trials],
        spent,
        [BEYOND] * len(names),
        [False] * len(names),
    )
    return [(seconds, volume / BEYOND ** len(names)) for seconds, volume in found]


def _between(vectors: dict[int, tuple[float, ...]], higher: Sequence[bool]) -> dict[int, tuple[float, ...]]:
    """Best value 0, worst 1, per objective; one that never varied is 0 for all."""
    axes = list(zip(*vectors.values(), strict=True))
    best = [max(axis) if up else min(axis) for axis, up in zip(axes, higher, strict=True)]
    worst = [min(axis) if up else max(axis) for axis, up in zip(axes, higher, strict=True)]
    return {
        number: tuple(
            (v - b) / (w - b) if w != b else 0.0 for v, b, w in zip(vector, best, worst, strict=True)
        )
        for number, vector in vectors.items()
    }
