"""What the time bought: the hypervolume of the front against time spent, as plain Plotly data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from ...search.ranking.distance import scaled
from ...search.ranking.known import complete_trials, searched_metrics
from ...search.ranking.pareto import hypervolume_history
from ...search.record.evaluation import Outcome, StudyRecord, TrialRecord
from ...search.record.training import trainings_met
from ..content.trainings import training_seconds
from .plots import GOOD, LEGEND_MARGIN, STOPPED, Figure

Steps = Sequence[tuple[float, float]]
BEYOND = 1.1  # the reference lies a tenth beyond the worst values, so that those count as well


def hypervolume_figure(record: StudyRecord) -> Figure | None:
    """Share of the space between the worst and the best values that the front covers, against time spent.

    Time is that of training; where nothing is trained, that of evaluating. Marked are the time that went into
    trainings that were given up, and where candidates were turned away before training. None with fewer than
    two points.
    """
    steps = hypervolume_steps(record)
    if len(steps) < 2:
        return None
    spent = "Training time" if trains(record) else "Evaluation time"
    last = steps[-1][0]
    unit, seconds = ("h", 3600.0) if last > 2 * 3600 else ("min", 60.0) if last > 120 else ("s", 1.0)
    drawn = [(moment / seconds, volume) for moment, volume in steps]
    marks = [_given_up(record, drawn, unit), _turned_away(record, drawn)] if trains(record) else []
    traces = [_line(record, drawn, unit), *(mark for mark in marks if mark is not None)]
    layout: Figure = {
        "xaxis": {"title": {"text": f"{spent} ({unit})"}, "range": [0, 1.02 * drawn[-1][0]]},
        "yaxis": {"title": {"text": "Hypervolume (share)"}, "rangemode": "tozero"},
        "hovermode": "closest",
    }
    if len(traces) > 1:
        layout |= {"legend": {}, "margin": {"b": LEGEND_MARGIN}}
    return {"data": traces, "layout": layout}


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


def _given_up(record: StudyRecord, drawn: Steps, unit: str) -> Figure | None:
    """The stretches of the line during which something was trained that was given up."""
    x: list[float | None] = []
    y: list[float | None] = []
    texts: list[str] = []
    before = (0.0, drawn[0][1])
    for trial, now in zip(record.trials, drawn, strict=True):
        if _gated(trial) and now[0] > before[0]:
            x += [before[0], now[0], None]
            y += [now[1], now[1], None]
            texts += [f"#{trial.number} given up after {now[0] - before[0]:.2f} {unit}"] * 2 + [""]
        before = now
    return _mark("given up", "lines", x, y, texts, {"line": {"width": 6}}) if x else None


def _turned_away(record: StudyRecord, drawn: Steps) -> Figure | None:
    """One tick per moment at which candidates were turned away; they cost no training time."""
    counts = Counter(
        now
        for trial, now in zip(record.trials, drawn, strict=True)
        if _gated(trial) and not trial.evaluation.stopped_epoch
    )
    if not counts:
        return None
    texts = [f"{count} candidate{'s' * (count > 1)} not trained" for count in counts.values()]
    marker = {"symbol": "line-ns", "size": 11, "line": {"width": 1.5}}
    x, y = [x for x, _ in counts], [y for _, y in counts]
    return _mark("not trained", "markers", x, y, texts, {"marker": marker})


def _mark(
    name: str,
    mode: str,
    x: Sequence[float | None],
    y: Sequence[float | None],
    texts: Sequence[str],
    look: Figure,
) -> Figure:
    light, dark = STOPPED
    return {
        "type": "scatter",
        "mode": mode,
        "name": name,
        "x": list(x),
        "y": list(y),
        "hovertext": list(texts),
        "hovertemplate": "%{hovertext}<extra></extra>",
        "meta": {"light": light, "dark": dark},
        **look,
    }


def _gated(trial: TrialRecord) -> bool:
    return trial.duplicate_of is None and trial.evaluation.outcome is Outcome.GATED


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
