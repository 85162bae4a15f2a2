"""Response times against the offered load: a line for each finalist, as plain Plotly data."""

from __future__ import annotations

from collections import Counter
from html import escape
from math import log10

from ...search.ranking.reading import Reading
from ...search.record.load import Held
from ...search.record.metrics import metric_info
from ..content.loads import THROUGHPUT, LoadedFinalist, loaded
from .axes import is_log, latency_ticks
from .plots import LEGEND_MARGIN, Figure, colours

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_SYMBOLS = {Held.YES: "circle", Held.NO: "x", Held.UNSURE: "circle-open"}
_WORDS = {
    Held.YES: "the limits surely hold",
    Held.NO: "the limits surely do not hold",
    Held.UNSURE: "not sure",
}


def loads_figure(reading: Reading) -> Figure | None:
    """None where nothing was put under load."""
    drawn = [one for one in loaded(reading) if any(p.limited_ms is not None for p in one.load.points)]
    if not drawn:
        return None
    palette, used, traces = colours([one.backend for one in drawn]), Counter[str](), []
    for one in drawn:
        traces.append(_line(one, palette[one.backend], _DASHES[used[one.backend] % len(_DASHES)]))
        used[one.backend] += 1
    load, points = drawn[0].load, [point for one in drawn for point in one.load.points]
    times = [point.limited_ms.value for point in points if point.limited_ms is not None]
    bound = [] if load.most_ms is None else [load.most_ms]
    ticks = latency_ticks([*times, *bound], is_log([*times, *bound]))
    rates = [point.offered_per_s for point in points]
    return {
        "data": traces,
        "layout": {
            "xaxis": {
                "title": {"text": "Offered load, requests a second"},
                **({"type": "log"} if is_log(rates) else {"rangemode": "tozero"}),
            },
            "yaxis": {
                "title": {"text": f"p{100 * load.share:.0f} of the response time", "standoff": 14},
                **ticks,
            },
            "shapes": [_limit(ms) for ms in bound],
            "annotations": [_label(load.limits[0], ms, log=is_log([*times, *bound])) for ms in bound],
            "hovermode": "closest",
            "legend": {},
            "margin": {"b": LEGEND_MARGIN},
        },
    }


def _line(one: LoadedFinalist, palette: tuple[str, str], dash: str) -> Figure:
    points = [(p, p.limited_ms) for p in one.load.points if p.limited_ms is not None]
    rate, ms = metric_info(THROUGHPUT), metric_info("latency_ms")
    name = f"#{one.number} {escape(one.title)}"
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "x": [point.offered_per_s for point, _ in points],
        "y": [quantity.value for _, quantity in points],
        "hovertext": [
            f"<b>{name}</b><br>{rate.format(point.offered_per_s)}: {ms.format(quantity.value)}"
            f"<br>{_WORDS[point.held] if one.load.limits else f'{point.requests} requests'}"
            for point, quantity in points
        ],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "line": {"width": 2, "dash": dash},
        "marker": {
            "size": 9,
            "opacity": 1,
            "symbol": [_SYMBOLS[p.held] for p, _ in points],
            "line": {"width": 1},
        },
        "meta": {"light": palette[0], "dark": palette[1]},
    }


def _limit(ms: float) -> Figure:
    line = {"dash": "dash", "width": 1.5}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": ms, "y1": ms, "line": line}


def _label(text: str, ms: float, *, log: bool) -> Figure:
    where = {
        "x": 0.01,
        "xref": "paper",
        "y": log10(ms) if log else ms,
        "xanchor": "left",
        "yanchor": "bottom",
    }
    return {**where, "text": escape(text), "showarrow": False}
