"""Percentiles of the finalists by the minute, and how warm the device was, as plain Plotly data."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

from ...search.ranking.hot import kept_at_work
from ...search.ranking.reading import Reading
from ...search.record.evaluation import Finalist
from ...search.record.metrics import metric_info
from ...search.record.sustained import Minute
from ..content.sustained import minutes_of
from .axes import is_log, latency_ticks
from .plots import LEGEND_MARGIN, PALETTE, Figure


def sustained_figure(reading: Reading) -> Figure | None:
    """p50 as a full line, p99 as a dotted one, the temperature dashed on an axis of its own; None where
    nothing was kept at work for two minutes."""
    there = [one for one in kept_at_work(reading.record) if len(minutes_of(one)) > 1]
    if not there:
        return None
    traces = [trace for place, one in enumerate(there) for trace in _traces(one, place)]
    values = [value for trace in traces if "yaxis" not in trace for value in trace["y"] if value is not None]
    warm = any("yaxis" in trace for trace in traces)
    layout = {
        "xaxis": {
            "title": {"text": "Minute at work"},
            "dtick": _step(max(len(minutes_of(one)) for one in there)),
        },
        "yaxis": {
            "title": {"text": "Response time", "standoff": 12},
            **_range(values),
            **latency_ticks(values, is_log(values)),
        },
        "hovermode": "closest",
        "legend": {},
        "margin": {"b": LEGEND_MARGIN},
    }
    if warm:
        layout["yaxis2"] = {
            "title": {"text": "Temperature", "standoff": 12},
            "ticksuffix": " °C",
            "tickmode": "auto",
            "nticks": 6,
            "automargin": True,
            "overlaying": "y",
            "side": "right",
            "showgrid": False,
        }
        layout["margin"] = {"b": LEGEND_MARGIN, "r": 84}
    return {"data": traces, "layout": layout}


def _range(values: list[float]) -> Figure:
    """From nothing on, so that what is twice as long looks so; all of a logarithmic axis."""
    return {} if is_log(values) else {"range": [0, 1.08 * max(values)]}


def _step(minutes: int) -> int:
    """Between two ticks, so that there are no more than ten."""
    return next(step for step in (1, 2, 5, 10, 30, 60, 120, 240) if minutes <= 10 * step or step == 240)


def _traces(one: Finalist, place: int) -> list[Figure]:
    palette, name = PALETTE[place % len(PALETTE)], f"#{one.number}"
    traces = [
        _line(one, f"{name} p50", "solid", palette, lambda minute: minute.p50_ms),
        _line(one, f"{name} p99", "dot", palette, lambda minute: minute.p99_ms),
    ]
    if any(minute.temperature_c is not None for minute in minutes_of(one)):
        warm = _line(one, f"{name} temperature", "dash", palette, lambda minute: minute.temperature_c, " °C")
        traces.append({**warm, "yaxis": "y2", "opacity": 0.55})
    return [trace for trace in traces if any(value is not None for value in trace["y"])]


def _line(
    one: Finalist,
    name: str,
    dash: str,
    palette: tuple[str, str],
    value: Callable[[Minute], float | None],
    unit: str = "",
) -> Figure:
    values = [value(minute) for minute in minutes_of(one)]
    texts = [
        "" if found is None else f"{found:.0f}{unit}" if unit else metric_info("latency_ms").format(found)
        for found in values
    ]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": escape(name),
        "x": list(range(1, len(values) + 1)),
        "y": values,
        "hovertext": [f"{escape(name)}, minute {i}: {text}" for i, text in enumerate(texts, start=1)],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "line": {"width": 2 if dash == "solid" else 1.5, "dash": dash},
        "marker": {"size": 5, "opacity": 1, "line": {"width": 0}},
        "meta": {"light": palette[0], "dark": palette[1]},
    }
