"""The front as plain Plotly data, with limits and what is recommended.

Colours are given for light and dark pages in each trace's `meta`; the page's script picks. The first four are
Okabe and Ito's (https://jfly.uni-koeln.de/color/), the others the farthest from them and from one
another, also as people with colour blindness see them.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10, sqrt
from typing import Any

from ...backends.registry import backend_names
from ...search.ranking.known import TEST, trial_of
from ...search.ranking.ranking import Ranked, Ranking, latency_metric
from ...search.ranking.reading import Reading
from ...search.ranking.sentences import quantity_text
from ...search.ranking.verdict import NOT_MET
from ...search.record.evaluation import Limit, StudyRecord
from ...search.record.metrics import metric_info
from ...search.record.quality import higher_is_better

Figure = dict[str, Any]

_LIGHT = ("#0072b2", "#d55e00", "#009e73", "#a8568a", "#000000", "#8800ff", "#771100", "#550055")
_DARK = ("#56b4e9", "#f0883e", "#2fc79a", "#d98bbb", "#8844ff", "#ffff00", "#cc1144", "#bbffaa")
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
    "int4-weight": "triangle-down",
}


def colours(backends: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Backend -> its colour on light and on dark pages; registered ones have the same on every page."""
    registered = backend_names()
    order = [*registered, *sorted(set(backends) - set(registered))]
    pairs = list(zip(_LIGHT, _DARK, strict=True))
    return {backend: pairs[i % len(pairs)] for i, backend in enumerate(order) if backend in backends}


def front_figure(reading: Reading) -> Figure | None:
    """Quality against latency; area is size, colour the backend, shape the precision. None without points."""
    record, ranking, verdict = reading.record, reading.ranking, reading.verdict
    x, y = latency_metric(record), record.quality
    entries = [e for e in ranking.entries if x in e.metrics and y in e.metrics]
    if not entries:
        return None
    sizes = [e.metrics["size_bytes"].value for e in entries if "size_bytes" in e.metrics]
    largest = max(sizes, default=1.0)
    groups: dict[tuple[str, str], list[Ranked]] = {}
    for entry in sorted(entries, key=lambda e: e.number):
        candidate = trial_of(record, entry.number).evaluation.candidate
        groups.setdefault((candidate.backend, str(candidate.precision)), []).append(entry)
    palette = colours([backend for backend, _ in groups])
    traces = [
        _points(record, members, x, y, largest, group, palette[group[0]])
        for group, members in sorted(groups.items())
    ]
    traces += [_legend_entry(group, palette[group[0]]) for group in sorted(groups)]
    marks = [_marked(ranking, verdict.baseline, "strongest simple choice", x, y, below=True)]
    label = "nearest" if verdict.status == NOT_MET else "recommended"
    marks += [_marked(ranking, verdict.recommended, label, x, y)]
    return {"data": traces, "layout": _front_layout(record, ranking, entries, x, y, [m for m in marks if m])}


def _points(
    record: StudyRecord,
    members: Sequence[Ranked],
    x: str,
    y: str,
    largest: float,
    group: tuple[str, str],
    palette: tuple[str, str],
) -> Figure:
    backend, precision = group
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{backend} {precision}",
        "legendgroup": f"{backend} {precision}",
        "showlegend": False,
        "x": [e.metrics[x].value for e in members],
        "y": [e.metrics[y].value for e in members],
        "customdata": [e.number for e in members],
        "hovertext": [hover_text(record, e) for e in members],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "meta": {"light": palette[0], "dark": palette[1]},
        "marker": {
            "symbol": _SYMBOLS.get(precision, "star"),
            "size": [_diameter(e, largest) for e in members],
            "opacity": [0.95 if e.on_front and e.feasible else 0.28 for e in members],
            "line": {"width": [1.5 if e.source == TEST else 0.5 for e in members]},
        },
    }


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
    place = "on the front" if entry.on_front else "beaten"
    missed = [text for text, v in entry.violations.items() if v > 0]
    lines.append(f"rank {entry.rank}, {place}" if entry.feasible else f"over: {escape(', '.join(missed))}")
    lines.append(f"{entry.source} numbers")
    return "<br>".join(lines)


def _marked(
    ranking: Ranking, number: int | None, label: str, x: str, y: str, *, below: bool = False
) -> Figure | None:
    """An arrow with a label on one point."""
    entry = ranking.of(number) if number is not None else None
    if entry is None or x not in entry.metrics or y not in entry.metrics:
        return None
    where = entry.metrics[x].value
    return {
        "x": log10(where) if _is_log(ranking, x) else where,
        "y": entry.metrics[y].value,
        "text": f"#{entry.number} {label}",
        "showarrow": True,
        "arrowhead": 0,
        "ax": 0,
        "ay": 44 if below else -44,
    }


def _is_log(ranking: Ranking, metric: str) -> bool:
    """A logarithmic axis where values span more than a factor of ten."""
    values = [e.metrics[metric].value for e in ranking.entries if metric in e.metrics]
    return bool(values) and min(values) > 0 and max(values) > 10 * min(values)


def _front_layout(
    record: StudyRecord, ranking: Ranking, entries: Sequence[Ranked], x: str, y: str, marks: list[Figure]
) -> Figure:
    log = _is_log(ranking, x)
    shapes, labels = [], []
    for limit in ranking.limits:
        if limit.metric in (x, y):
            shape, label = _limit_line(limit, limit.metric == x, log)
            shapes.append(shape)
            labels.append(label)
    share = metric_info(y).unit == "share"
    ticks = _latency_ticks([e.metrics[x].value for e in entries], log)
    return {
        "xaxis": {"title": {"text": f"{metric_info(x).title} (lower is better)"}, **ticks},
        "yaxis": {
            "title": {"text": f"{metric_info(y).title} ({_direction(record, y)})", "standoff": 14},
            **({"tickformat": ".1%"} if share else {}),
        },
        "shapes": shapes,
        "annotations": [*labels, *marks],
        "hovermode": "closest",
        "legend": {"itemsizing": "constant"},
    }


def _direction(record: StudyRecord, metric: str) -> str:
    return "higher is better" if higher_is_better(record, metric) else "lower is better"


def _latency_ticks(values: Sequence[float], log: bool) -> Figure:
    """Ticks with SI units ("200 µs", "1 ms"); at 1, 2 and 5 times powers of ten on a logarithmic axis."""
    low, high = min(values), max(values)
    if log:
        powers = range(floor(log10(low)) - 1, ceil(log10(high)) + 1)
        places = [m * 10.0**p for p in powers for m in (1, 2, 5)]
        return {"type": "log", "tickvals": places, "ticktext": [_short_ms(v) for v in places]}
    scale, unit = (1e-3, "µs") if high < 1 else (1e3, "s") if high >= 1e4 else (1.0, "ms")
    step = _round_step(high / scale / 5) * scale
    places = [step * i for i in range(ceil(high * 1.3 / step) + 1)]
    return {"tickvals": places, "ticktext": [f"{v / scale:.4g} {unit}" for v in places]}


def _short_ms(value: float) -> str:
    return metric_info("latency_ms").format(value)


def _round_step(rough: float) -> float:
    power = 10.0 ** floor(log10(rough))
    return float(next(m * power for m in (1, 2, 5, 10) if m * power >= rough))


def _limit_line(limit: Limit, vertical: bool, log: bool) -> tuple[Figure, Figure]:
    """The line and its label; `short` is what the page's script shows of it on a phone."""
    line = {"dash": "dash", "width": 1.5}
    text = escape(limit.text)
    short = ("≤ " if limit.upper else "≥ ") + metric_info(limit.metric).format(limit.bound)
    if limit.bound_on_test is not None and limit.bound_on_test != limit.bound:
        # Finalists are held to the teacher's quality on the test split, which differs.
        text += f" (finalists: {metric_info(limit.metric).format(limit.bound_on_test)})"
    if vertical:
        at = log10(limit.bound) if log else limit.bound
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
