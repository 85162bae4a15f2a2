"""The front as plain Plotly data, with limits and what is recommended.

Colours are given for light and dark pages in each trace's `meta`; the page's script picks. The first four are
Okabe and Ito's (https://jfly.uni-koeln.de/color/), the others the farthest from them and from one
another, also as people with colour blindness see them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import log10, sqrt
from typing import Any

from ...backends.registry import backend_names
from ...search.ranking.known import TEST, searched_metrics, trial_of
from ...search.ranking.ranking import Ranked, Ranking, latency_metric
from ...search.ranking.reading import Reading
from ...search.ranking.sentences import quantity_text
from ...search.ranking.verdict import NOT_MET, UNDECIDED, Verdict
from ...search.record.evaluation import Limit, StudyRecord
from ...search.record.metrics import metric_info
from ...search.record.quality import higher_is_better
from .axes import Window, is_log, latency_ticks, window
from .ranges import ranges_across

Figure = dict[str, Any]

_LIGHT = ("#0072b2", "#d55e00", "#009e73", "#a8568a", "#000000", "#8800ff", "#771100", "#550055")
_DARK = ("#56b4e9", "#f0883e", "#2fc79a", "#d98bbb", "#8844ff", "#ffff00", "#cc1144", "#bbffaa")
PALETTE = tuple(zip(_LIGHT, _DARK, strict=True))
GOOD, STOPPED = (_LIGHT[0], _DARK[0]), (_LIGHT[1], _DARK[1])
LEGEND_MARGIN = 88  # pixels below a plot that has a legend of one line
_SYMBOLS = {
    "fp32": "circle",
    "fp16": "square",
    "bf16": "hexagon",
    "fp8": "pentagon",
    "int8": "diamond",
    "int8-dynamic": "triangle-up",
    "int16x8": "cross",
    "int8-weight": "star",
    "int4-weight": "triangle-down",
}


def colours(backends: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Backend -> its colour on light and on dark pages; registered ones have the same on every page."""
    registered = backend_names()
    order = [*registered, *sorted(set(backends) - set(registered))]
    return {backend: PALETTE[i % len(PALETTE)] for i, backend in enumerate(order) if backend in backends}


def front_figure(reading: Reading) -> Figure | None:
    """Quality on validation against latency; area is size, colour the backend, shape the precision. None
    without points. One split for all: scores of different splits are not compared."""
    record, ranking, verdict = reading.record, reading.ranking, reading.verdict
    spots = _spots(record, ranking)
    if not spots:
        return None
    sizes = [s.entry.metrics["size_bytes"].value for s in spots if "size_bytes" in s.entry.metrics]
    groups: dict[tuple[str, str], list[_Spot]] = {}
    for spot in spots:
        candidate = trial_of(record, spot.entry.number).evaluation.candidate
        groups.setdefault((candidate.backend, str(candidate.precision)), []).append(spot)
    palette = colours([backend for backend, _ in groups])
    axes = _windows(spots)
    traces = [
        _points(record, members, axes, max(sizes, default=1.0), group, palette[group[0]])
        for group, members in sorted(groups.items())
    ]
    traces += [_legend_entry(group, palette[group[0]]) for group in sorted(groups)]
    return {
        "data": traces,
        "layout": _front_layout(record, ranking, spots, axes, _marks(spots, axes, verdict)),
    }


@dataclass(frozen=True)
class _Spot:
    entry: Ranked
    x: float
    y: float


Axes = tuple[Window, Window]


def _spots(record: StudyRecord, ranking: Ranking) -> list[_Spot]:
    latency = latency_metric(record)
    found = []
    for entry in sorted(ranking.entries, key=lambda e: e.number):
        quality = searched_metrics(trial_of(record, entry.number)).get(record.quality)
        if quality is not None and latency in entry.metrics:
            found.append(_Spot(entry, entry.metrics[latency].value, quality.value))
    return found


def _windows(spots: Sequence[_Spot]) -> Axes:
    wanted = [s for s in spots if s.entry.on_front] or spots
    log = is_log([s.x for s in spots])
    across = window([s.x for s in spots], [s.x for s in wanted], log=log)
    return across, window([s.y for s in spots], [s.y for s in wanted], log=False)


def _marks(spots: Sequence[_Spot], axes: Axes, verdict: Verdict) -> list[Figure]:
    """Labels of the recommended one and of the simple choice, each on the side away from the other."""
    at = {spot.entry.number: spot for spot in spots}
    best, simple = (at.get(-1 if n is None else n) for n in (verdict.recommended, verdict.baseline))
    under = best is not None and simple is not None and best.y < simple.y
    marks = []
    if simple is not None and simple is not best:
        marks.append(_marked(simple, axes, "strongest simple choice", below=not under))
    if best is not None:
        label = "nearest" if verdict.status in (NOT_MET, UNDECIDED) else "recommended"
        label += ", the strongest simple choice" if simple is best else ""
        marks.append(_marked(best, axes, label, below=under))
    return marks


def _points(
    record: StudyRecord,
    members: Sequence[_Spot],
    axes: Axes,
    largest: float,
    group: tuple[str, str],
    palette: tuple[str, str],
) -> Figure:
    backend, precision = group
    (across, up), entries = axes, [spot.entry for spot in members]
    usual = _SYMBOLS.get(precision, "star")
    symbols = [_symbol(spot, axes) or usual for spot in members]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{backend} {precision}",
        "legendgroup": f"{backend} {precision}",
        "showlegend": False,
        "x": [across.place(spot.x) for spot in members],
        "y": [up.place(spot.y) for spot in members],
        "customdata": [e.number for e in entries],
        "hovertext": [hover_text(record, e) for e in entries],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "meta": {"light": palette[0], "dark": palette[1]},
        **ranges_across([entry.metrics[latency_metric(record)] for entry in entries], across),
        "marker": {
            "symbol": symbols if set(symbols) != {usual} else usual,
            "size": [_diameter(e, largest) for e in entries],
            "opacity": [0.95 if e.on_front and e.feasible else 0.28 for e in entries],
            "line": {"width": [1.5 if e.source == TEST else 0.5 for e in entries]},
        },
    }


def _symbol(spot: _Spot, axes: Axes) -> str:
    """An arrow where the point lies beyond the axes; empty elsewhere."""
    across, up = axes
    if up.beyond(spot.y):
        return "triangle-down-open" if spot.y < up.low else "triangle-up-open"
    if across.beyond(spot.x):
        return "triangle-left-open" if spot.x < across.low else "triangle-right-open"
    return ""


def _legend_entry(group: tuple[str, str], palette: tuple[str, str]) -> Figure:
    """A trace without points: the legend would show the first point's faintness otherwise."""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": " ".join(group),
        "legendgroup": " ".join(group),
        "x": [None],
        "y": [None],
        "hoverinfo": "skip",
        "meta": {"light": palette[0], "dark": palette[1]},
        "marker": {"symbol": _SYMBOLS.get(group[1], "star"), "size": 11, "line": {"width": 0.5}},
    }


def _diameter(entry: Ranked, largest: float) -> float:
    """Pixels across; the area follows the size, but the smallest can still be hit with a finger."""
    size = entry.metrics["size_bytes"].value if "size_bytes" in entry.metrics else largest
    return round(max(10.0, 34.0 * sqrt(size / largest)), 1)


def hover_text(record: StudyRecord, entry: Ranked) -> str:
    """The whole configuration with its numbers, escaped for Plotly's own markup."""
    evaluation = trial_of(record, entry.number).evaluation
    recipe = evaluation.candidate.recipe
    lines = [f"<b>#{entry.number}</b> {escape(evaluation.candidate.title)}"]
    if recipe is not None:
        lines.append(
            f"distilled {recipe.epochs} epochs, T={recipe.temperature:g}, w={recipe.distill_weight:g}"
        )
    lines += [
        f"{escape(metric_info(name).title)}: {quantity_text(name, quantity)}"
        for name, quantity in entry.metrics.items()
        if name in (record.quality, "latency_ms", "latency_p90_ms", "size_bytes", "memory_bytes")
    ]
    searched = searched_metrics(trial_of(record, entry.number)).get(record.quality)
    if entry.source == TEST and searched is not None:
        title = escape(metric_info(record.quality).title)
        lines.append(f"{title} on validation: {quantity_text(record.quality, searched)}")
    place = "on the front" if entry.on_front else "beaten"
    missed = [text for text, v in entry.violations.items() if v > 0]
    lines.append(f"rank {entry.rank}, {place}" if entry.feasible else f"over: {escape(', '.join(missed))}")
    lines.append(f"{entry.source} numbers")
    return "<br>".join(lines)


def _marked(spot: _Spot, axes: Axes, label: str, *, below: bool) -> Figure:
    """An arrow with a label on one point."""
    where = axes[0].place(spot.x)
    return {
        "x": log10(where) if axes[0].log else where,
        "y": axes[1].place(spot.y),
        "text": f"#{spot.entry.number} {label}",
        "showarrow": True,
        "arrowhead": 0,
        "ax": 0,
        "ay": 44 if below else -44,
    }


def _front_layout(
    record: StudyRecord, ranking: Ranking, spots: Sequence[_Spot], axes: Axes, marks: list[Figure]
) -> Figure:
    x, y, log = latency_metric(record), record.quality, axes[0].log
    shapes, labels = [], []
    for limit in ranking.limits:
        if limit.metric in (x, y):
            shape, label = _limit_line(limit, limit.metric == x, log)
            shapes.append(shape)
            labels.append(label)
    beyond = sum(bool(_symbol(spot, axes)) for spot in spots)
    labels += [_beyond_label(beyond)] if beyond else []
    share = metric_info(y).unit == "share"
    quality = f"{metric_info(y).title} on validation ({_direction(record, y)})"
    estimated = "Estimated: " if record.estimated else ""
    bounds = [limit.bound for limit in ranking.limits if limit.metric == x and limit.bound > 0]
    ticks = latency_ticks([*(axes[0].place(spot.x) for spot in spots), *bounds], log)
    return {
        "xaxis": {"title": {"text": f"{estimated}{metric_info(x).title} (lower is better)"}, **ticks},
        "yaxis": {
            "title": {"text": quality, "standoff": 14},
            **({"tickformat": ".3~%"} if share else {}),
        },
        "shapes": shapes,
        "annotations": [*labels, *marks],
        "hovermode": "closest",
        "legend": {"itemsizing": "constant"},
    }


def _beyond_label(count: int) -> Figure:
    text = f"{count} beyond the axes: hollow triangles at the edge"
    where = {"x": 0.01, "xref": "paper", "y": 0.01, "yref": "paper", "xanchor": "left", "yanchor": "bottom"}
    return {**where, "text": text, "short": f"{count} beyond", "showarrow": False}


def _direction(record: StudyRecord, metric: str) -> str:
    return "higher is better" if higher_is_better(record, metric) else "lower is better"


def _limit_line(limit: Limit, vertical: bool, log: bool) -> tuple[Figure, Figure]:
    """The line and its label; `short` is what the page's script shows of it on a phone."""
    line = {"dash": "dash", "width": 1.5}
    text = escape(limit.text)
    short = ("≤ " if limit.upper else "≥ ") + metric_info(limit.metric).format(limit.bound)
    if limit.bound_on_test is not None and limit.bound_on_test != limit.bound:
        # Finalists are held to the teacher's quality on the test split, which differs.
        text += f" (on test: {metric_info(limit.metric).format(limit.bound_on_test)})"
    if vertical:
        at = log10(limit.bound) if log and limit.bound > 0 else limit.bound
        shape = {"type": "line", "x0": limit.bound, "x1": limit.bound, "yref": "paper", "y0": 0, "y1": 1}
        label = {
            "x": at,
            "y": 0.02,
            "yref": "paper",
            "textangle": -90,
            "xanchor": "right",
            "yanchor": "bottom",
        }
    else:
        shape = {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": limit.bound, "y1": limit.bound}
        label = {"x": 0.99, "xref": "paper", "y": limit.bound, "xanchor": "right", "yanchor": "bottom"}
    return {**shape, "line": line}, {**label, "text": text, "short": short, "showarrow": False}
