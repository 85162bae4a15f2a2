"""One metric over the nights, each with its interval; what changed between two nights stands where it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, isfinite, log10

from ...profiles.quantity import Quantity
from ...search.record.metrics import MetricInfo
from .plots import GOOD, STOPPED, Figure

MOST_NIGHTS = 60
"""More than that is a thicket: the last ones are drawn."""
_TICKS = 4
_LEAST_SPAN = 0.08  # of the value: noise is drawn as what it is
_LEAST_POINTS = 0.02  # of a share


@dataclass(frozen=True, kw_only=True)
class TrendPoint:
    """A night in a trend. `quantity` is None where it has none, `good` whether it found nothing wrong, `text`
    what is told of it, `changed` what changed before it, in a word or two."""

    number: int
    quantity: Quantity | None
    good: bool
    text: str
    changed: str = ""


def trend_figure(info: MetricInfo, points: Sequence[TrendPoint]) -> Figure | None:
    """None where fewer than two nights have a number."""
    points = points[-MOST_NIGHTS:]
    known = [p for p in points if p.quantity is not None and isfinite(p.quantity.value)]
    if len(known) < 2:
        return None
    line = {
        "type": "scatter", "mode": "lines", "hoverinfo": "skip", "showlegend": False,
        "x": [p.number for p in known], "y": [_value(p) for p in known],
        "line": {"width": 1}, "opacity": 0.4, "meta": {"light": GOOD[0], "dark": GOOD[1]},
    }  # fmt: skip
    groups = (
        (GOOD, "circle", "fine", [p for p in known if p.good]),
        (STOPPED, "diamond", "regressed or not usable", [p for p in known if not p.good]),
    )
    traces = [_trace(info, *group) for group in groups if group[-1]]
    return {"data": [line, *traces], "layout": _layout(info, points, known)}


def _value(point: TrendPoint) -> float:
    assert point.quantity is not None
    return point.quantity.value


def _trace(
    info: MetricInfo, palette: tuple[str, str], symbol: str, name: str, points: Sequence[TrendPoint]
) -> Figure:
    ends = [p.quantity.ends for p in points if p.quantity is not None]
    values = [_value(p) for p in points]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "showlegend": False,
        "x": [p.number for p in points],
        "y": values,
        "hovertext": [f"{escape(p.text)}<br>{escape(info.format(_value(p)))}" for p in points],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "marker": {"symbol": symbol, "size": 9, "line": {"width": 0}},
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [high - value for (_, high), value in zip(ends, values, strict=True)],
            "arrayminus": [value - low for (low, _), value in zip(ends, values, strict=True)],
            "thickness": 1.5,
            "width": 4,
        },
        "meta": {"light": palette[0], "dark": palette[1]},
    }


def _layout(info: MetricInfo, points: Sequence[TrendPoint], known: Sequence[TrendPoint]) -> Figure:
    first, last = points[0].number, points[-1].number
    step = max(1, ceil((last - first + 1) / 12))
    nights = list(range(first, last + 1, step))
    low, high = _span(info, known)
    changed = [p for p in points[1:] if p.changed]
    return {
        "xaxis": {
            "tickvals": nights,
            "ticktext": [str(number) for number in nights],
            "range": [first - 0.6, last + 0.6],
        },
        "yaxis": {"range": [low, high], **_ticks(info, low, high)},
        "margin": {"l": 70, "r": 12, "t": 10, "b": 32},
        "shapes": [_line(p.number - 0.5) for p in changed],
        "annotations": [_label(p) for p in changed],
        "hovermode": "closest",
        "showlegend": False,
    }


def _span(info: MetricInfo, known: Sequence[TrendPoint]) -> tuple[float, float]:
    """What is drawn: all intervals, and so much that noise looks like noise."""
    ends = [p.quantity.ends for p in known if p.quantity is not None]
    low, high = min(end for end, _ in ends), max(end for _, end in ends)
    middle = (low + high) / 2
    least = _LEAST_POINTS if info.unit == "share" else _LEAST_SPAN * abs(middle) or 1.0
    half = max(high - low, least) * 0.6
    return middle - half, middle + 1.4 * half  # above it stands what changed


def _ticks(info: MetricInfo, low: float, high: float) -> Figure:
    rough = (high - low) / _TICKS
    power = 10.0 ** floor(log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough)
    places = [step * i for i in range(ceil(low / step), floor(high / step) + 1)]
    return {"tickvals": places, "ticktext": [info.format(place) for place in places]}


def _line(at: float) -> Figure:
    where = {"x0": at, "x1": at, "yref": "paper", "y0": 0, "y1": 1}
    return {"type": "line", **where, "line": {"dash": "dot", "width": 1}}


def _label(point: TrendPoint) -> Figure:
    """What changed, along its line."""
    return {
        "x": point.number - 0.5,
        "y": 0.99,
        "yref": "paper",
        "yanchor": "top",
        "xanchor": "right",
        "textangle": -90,
        "text": escape(point.changed),
        "showarrow": False,
    }
