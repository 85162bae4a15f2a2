"""What the time bought: the hypervolume of the front against time spent, as plain Plotly data."""

from __future__ import annotations

from collections.abc import Sequence

from ..search.evaluation import StudyRecord, TrialRecord
from ..search.pareto import hypervolume_history
from ..search.ranking import complete_trials, searched_metrics
from ..search.scale import scaled
from .plots import Figure, colours

TRAINING_STAGES = ("distill", "prune")
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
    light, dark = colours(["ort"])["ort"]
    trace = {
        "type": "scatter",
        "mode": "lines",
        "line": {"shape": "hv", "width": 2.5},
        "x": [moment / seconds for moment, _ in steps],
        "y": [volume for _, volume in steps],
        "hovertemplate": f"%{{x:.2f}} {unit}: %{{y:.3f}}<extra></extra>",
        "meta": {"light": light, "dark": dark},
        "showlegend": False,
    }
    layout = {
        "xaxis": {"title": {"text": f"{spent} ({unit})"}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": "Hypervolume (share)"}, "rangemode": "tozero"},
        "hovermode": "closest",
    }
    return {"data": [trace], "layout": layout}


def trains(record: StudyRecord) -> bool:
    """Whether time was spent on training."""
    return any(_training_seconds(trial) > 0 for trial in record.trials)


def _training_seconds(trial: TrialRecord) -> float:
    if trial.duplicate_of is not None:
        return 0.0
    return sum(s.seconds for s in trial.evaluation.stages if s.name in TRAINING_STAGES and not s.cached)


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
    spent = [_training_seconds(t) if training else t.seconds for t in record.trials]
    found = hypervolume_history(
        [points.get(trial.number) for trial in record.trials],
        spent,
        [BEYOND] * len(names),
        [False] * len(names),
    )
    return [(seconds, volume / BEYOND ** len(names)) for seconds, volume in found]


BEYOND = 1.1  # the reference lies a tenth beyond the worst values, so that those count as well


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
