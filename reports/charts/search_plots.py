"""What the accuracy model predicted against what was found, and learning curves, as plain Plotly data."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import isfinite

from ...search.ranking.sentences import quantity_text
from ...search.record.evaluation import StudyRecord
from ...search.record.metrics import metric_info
from ...search.record.training import DISTILL
from ..content.predictions import FEWEST, Prediction, predictions
from .curves import Curve, learning_curves
from .plots import GOOD, GREY, LEGEND_MARGIN, STOPPED, Figure

_NAMES = {
    (True, False): "distilled",
    (False, False): "pruned",
    (True, True): "distilled, given up",
    (False, True): "pruned, given up",
}


def prediction_figure(record: StudyRecord) -> Figure | None:
    """Predicted against found quality with 95 % intervals; None for fewer than five predictions."""
    made = predictions(record)
    if len(made) < FEWEST:
        return None
    inside = [p for p in made if p.held is not False]
    outside = [p for p in made if p.held is False]
    ends = [v for p in made for v in (p.found.value, p.predicted.value)]
    low, high = min(ends), max(ends)
    traces = [_diagonal(low, high), _points(record, inside, "within the interval", GOOD)]
    traces += [_points(record, outside, "outside of it", STOPPED)] if outside else []
    title = metric_info(record.quality).title
    return {
        "data": traces,
        "layout": {
            "xaxis": {"title": {"text": f"{title} found (validation)"}, **_percent(record, ".1%")},
            "yaxis": {
                "title": {"text": "Predicted", "standoff": 12},
                **_percent(record, ".1%"),
                **_room(made, low, high),
            },
            "hovermode": "closest",
            "legend": {},
            "margin": {"b": LEGEND_MARGIN},
        },
    }


def _percent(record: StudyRecord, form: str) -> Figure:
    return {"tickformat": form} if metric_info(record.quality).unit == "share" else {}


def _room(made: Sequence[Prediction], low: float, high: float) -> Figure:
    """A range that shows all points; the widest intervals, of the first predictions, leave the plot."""
    half = (high - low) / 2
    bottom = max(low - half, min(p.predicted.value - _interval(p)[0] for p in made))
    top = min(high + half, max(p.predicted.value + _interval(p)[1] for p in made))
    pad = half / 5
    return {"range": [min(bottom, low) - pad, max(top, high) + pad]} if half else {}


def _diagonal(low: float, high: float) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": [low, high],
        "y": [low, high],
        "line": {"width": 1.5, "dash": "dash"},
        "hoverinfo": "skip",
        "showlegend": False,
        "meta": {"light": GREY[0], "dark": GREY[1]},
    }


def _points(record: StudyRecord, made: Sequence[Prediction], name: str, palette: tuple[str, str]) -> Figure:
    ends = [_interval(p) for p in made]
    texts = [
        f"#{p.number}: predicted {quantity_text(record.quality, p.predicted)}<br>"
        f"found {quantity_text(record.quality, p.found)}"
        for p in made
    ]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [p.found.value for p in made],
        "y": [p.predicted.value for p in made],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [above for _, above in ends],
            "arrayminus": [below for below, _ in ends],
            "thickness": 1,
            "width": 0,
        },
        "hovertext": texts,
        "hovertemplate": "%{hovertext}<extra></extra>",
        "marker": {"size": 8, "line": {"width": 0.5}},
        "meta": {"light": palette[0], "dark": palette[1]},
    }


def _interval(prediction: Prediction) -> tuple[float, float]:
    """How far the interval reaches below and above the predicted value."""
    predicted = prediction.predicted
    low, high = (
        predicted.value if end is None or not isfinite(end) else end
        for end in (predicted.low, predicted.high)
    )
    return max(0.0, predicted.value - low), max(0.0, high - predicted.value)


def curves_figure(record: StudyRecord) -> Figure | None:
    """Quality over the share of epochs, those given up marked at their end; None for fewer than two."""
    curves = learning_curves(record)
    if len(curves) < 2:
        return None
    traces = []
    for (distilled, stopped), name in _NAMES.items():
        members = [c for c in curves if (c.kind == DISTILL, c.stopped) == (distilled, stopped)]
        if members:
            traces.append(_lines(record, members, name, distilled, stopped))
    return {
        "data": traces,
        "layout": {
            "xaxis": {"title": {"text": "Share of the epochs"}, "tickformat": ".0%", "range": [0, 1.03]},
            "yaxis": {
                "title": {"text": f"{metric_info(record.quality).title} in PyTorch", "standoff": 12},
                **_percent(record, ".1%"),
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
