"""Learning curves: quality on validation over the epochs, each training once, as plain Plotly data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite

from ...search.record.evaluation import StageRecord, StudyRecord, TrialRecord
from ...search.record.metrics import metric_info
from ...search.record.training import DISTILL, needed, trainings_met
from ..content.trainings import own_trials
from .plots import GOOD, LEGEND_MARGIN, STOPPED, Figure

_NAMES = {
    (True, False): "distilled",
    (False, False): "pruned",
    (True, True): "distilled, stopped",
    (False, True): "pruned, stopped",
}


@dataclass(frozen=True, kw_only=True)
class Curve:
    """One training: `points` are (share of its epochs, quality on validation in PyTorch).

    `number` is a trial that met it, `stopped` says that it was given up or paused at the last point.
    """

    number: int
    kind: str
    title: str
    points: tuple[tuple[float, float], ...]
    stopped: bool


def learning_curves(record: StudyRecord) -> tuple[Curve, ...]:
    """The longest curve of every training; one that was finished later was not stopped."""
    found: dict[str, Curve] = {}
    for trial in own_trials(record):
        for stage in trainings_met(trial.evaluation):
            curve = _curve(trial, stage)
            before = found.get(stage.key)
            if curve is not None and (before is None or _order(curve) > _order(before)):
                found[stage.key] = curve
    return tuple(found.values())


def _order(curve: Curve) -> tuple[int, bool]:
    return len(curve.points), not curve.stopped


def _curve(trial: TrialRecord, stage: StageRecord) -> Curve | None:
    points = [(epochs, quality) for epochs, quality in stage.curve if isfinite(quality)]
    training = next((t for t in needed(trial.evaluation.candidate) if t.kind == stage.name), None)
    if not points or training is None:
        return None
    return Curve(
        number=trial.number,
        kind=stage.name,
        title=training.title,
        points=_shares(points, training.epochs),
        stopped=trial.evaluation.stopped_epoch > 0 and stage is trainings_met(trial.evaluation)[-1],
    )


def _shares(points: Sequence[tuple[int, float]], epochs: int) -> tuple[tuple[float, float], ...]:
    whole = max(epochs, points[-1][0], 1)
    return tuple((done / whole, quality) for done, quality in points)


def curves_figure(record: StudyRecord) -> Figure | None:
    """Quality over the share of epochs, those stopped marked at their end; None for fewer than two."""
    curves = learning_curves(record)
    if len(curves) < 2:
        return None
    traces, info = [], metric_info(record.quality)
    for (distilled, stopped), name in _NAMES.items():
        members = [c for c in curves if (c.kind == DISTILL, c.stopped) == (distilled, stopped)]
        if members:
            traces.append(_lines(record, members, name, distilled, stopped))
    return {
        "data": traces,
        "layout": {
            "xaxis": {"title": {"text": "Share of the epochs"}, "tickformat": ".0%", "range": [0, 1.03]},
            "yaxis": {
                "title": {"text": f"{info.title} in PyTorch", "standoff": 12},
                **({"tickformat": ".1%"} if info.unit == "share" else {}),
            },
            "hovermode": "closest",
            "legend": {},
            "margin": {"b": LEGEND_MARGIN},
        },
    }


def _lines(
    record: StudyRecord, members: Sequence[Curve], name: str, distilled: bool, stopped: bool
) -> Figure:
    """All curves of one kind as one trace: gaps part them, so that a hundred of them stay quick to draw."""
    x: list[float | None] = []
    y: list[float | None] = []
    texts, sizes = [], []
    info = metric_info(record.quality)
    for curve in members:
        x += [share for share, _ in curve.points] + [None]
        y += [quality for _, quality in curve.points] + [None]
        label = f"{escape(curve.title)} (#{curve.number})"
        texts += [f"{label}<br>{100 * s:.0f} %: {info.format(q)}" for s, q in curve.points] + [""]
        sizes += [3.0] * (len(curve.points) - 1) + [9.0 if stopped else 4.0, 0.0]
    palette = STOPPED if stopped else GOOD
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": x,
        "y": y,
        "hovertext": texts,
        "hovertemplate": "%{hovertext}<extra></extra>",
        "line": {"width": 1.5, "dash": "solid" if distilled else "dot"},
        "marker": {"size": sizes, "symbol": "x" if stopped else "circle", "opacity": 1, "line": {"width": 0}},
        "meta": {"light": palette[0], "dark": palette[1]},
    }
