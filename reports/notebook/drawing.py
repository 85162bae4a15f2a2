"""A plot's data as a picture that needs no script: notebooks are shown where none runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape, unescape
from math import ceil, floor, log10
from typing import Any

from ...search.record.metrics import metric_info
from .symbols import mark

Figure = dict[str, Any]

_HALO = 'paint-order="stroke" stroke="#fff" stroke-width="4" stroke-linejoin="round"'
WIDTH, HEIGHT = 760, 430
_LEFT, _RIGHT, _TOP, _AXIS, _LEGEND_ROW = 78, 18, 22, 52, 22
_BESIDE = 0.08  # of the axes' length stays free on either side of the outermost points
_LETTER = 6.6  # pixels, of the font below
_INK, _SOFT, _GRID, _WARN = "#1b1f24", "#57606a", "#e2e5e9", "#8a4b00"
_FONT = 'font-family="system-ui, \'Segoe UI\', Roboto, Helvetica, Arial, sans-serif" font-size="12"'


@dataclass(frozen=True, kw_only=True)
class Scaled:
    """One axis: its ends, the pixels that these stand at, and whether it is logarithmic."""

    low: float
    high: float
    first: float
    last: float
    log: bool = False

    def at(self, value: float) -> float:
        """The pixel of a value."""
        return self.at_place(log10(value) if self.log else value)

    def at_place(self, place: float) -> float:
        """The pixel of what the axis counts: a value, or the power of ten of one."""
        return self.first + (place - self.low) / (self.high - self.low) * (self.last - self.first)

    def holds(self, value: float) -> bool:
        """Whether a value is drawn."""
        place = log10(value) if self.log and value > 0 else value
        return self.low <= place <= self.high


def svg(figure: Figure, quality: str) -> str:
    """The figure of a front as one SVG element, on paper of its own: what is around it may be dark.
    `quality` is the metric upwards."""
    legend = [trace for trace in figure["data"] if trace["x"] == [None]]
    rows = _rows(legend)
    height = HEIGHT + _LEGEND_ROW * len(rows)
    across, up = _axes(figure)
    parts = [
        f'<rect width="{WIDTH}" height="{height}" fill="#fff" rx="6"/>',
        *_grid(figure, across, up, quality),
        *_limits(figure, across, up),
        *(one for trace in figure["data"] if trace not in legend for one in _points(trace, across, up)),
        *_labels(figure, across, up),
        *_legend(rows),
    ]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
    return f'{head} viewBox="0 0 {WIDTH} {height}" {_FONT}>{"".join(parts)}</svg>'


def _axes(figure: Figure) -> tuple[Scaled, Scaled]:
    layout, log = figure["layout"], figure["layout"]["xaxis"].get("type") == "log"
    xs = [x for trace in figure["data"] for x in trace["x"] if x is not None]
    ys = [y for trace in figure["data"] for y in trace["y"] if y is not None]
    xs += [s["x0"] for s in layout["shapes"] if s.get("yref") == "paper" and (s["x0"] > 0 or not log)]
    ys += [s["y0"] for s in layout["shapes"] if s.get("xref") == "paper"]
    left, right = _ends([log10(x) if log else x for x in xs])
    low, high = _ends(ys)
    if layout["yaxis"].get("tickformat"):  # a share
        high = min(high, max(1.0, max(ys)) + 0.35 * (high - low))
    across = Scaled(low=left, high=right, first=_LEFT, last=WIDTH - _RIGHT, log=log)
    return across, Scaled(low=low, high=high, first=HEIGHT - _AXIS, last=_TOP)


def _ends(places: Sequence[float]) -> tuple[float, float]:
    low, high = min(places), max(places)
    span = (high - low) or abs(high) * 0.1 or 1.0
    return low - _BESIDE * span, high + _BESIDE * span


def _text(x: float, y: float, text: str, *, anchor: str = "middle", fill: str = _INK, more: str = "") -> str:
    shown = escape(unescape(text))
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" {more}>{shown}</text>'


def _line(x0: float, y0: float, x1: float, y1: float, colour: str, more: str = "") -> str:
    ends = f'x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"'
    return f'<line {ends} stroke="{colour}" {more}/>'


def _grid(figure: Figure, across: Scaled, up: Scaled, quality: str) -> Iterator[str]:
    layout, bottom = figure["layout"], up.first
    for x, text in _ticks_across(across, layout["xaxis"]):
        yield _line(x, bottom, x, up.last, _GRID)
        yield _text(x, bottom + 17, text)
    places = _round_places(up.low, up.high)
    for value in places:
        y = up.at(value)
        yield _line(across.first, y, across.last, y, _GRID)
        yield _text(across.first - 8, y + 4, _tick(quality, value, places), anchor="end")
    yield _text((across.first + across.last) / 2, bottom + 40, layout["xaxis"]["title"]["text"])
    y = (up.first + up.last) / 2
    yield _text(16, y, layout["yaxis"]["title"]["text"], more=f'transform="rotate(-90 16 {y:.1f})"')


def _ticks_across(across: Scaled, axis: Figure) -> list[tuple[float, str]]:
    """Those of the plot on a logarithmic axis, else round ones; as many as have room."""
    values, texts = axis["tickvals"], axis["ticktext"]
    if not across.log:
        values = [value for value in _round_places(across.low, across.high) if value >= 0]
        texts = _in_one_unit(values)
    found: list[tuple[float, str]] = []
    for value, text in zip(values, texts, strict=True):
        if not across.holds(value):
            continue
        x = across.at(value)
        if not found or x - found[-1][0] > _LETTER * (len(text) + len(found[-1][1])) / 2 + 10:
            found.append((x, text))
    return found


def _in_one_unit(values: Sequence[float]) -> list[str]:
    """Milliseconds, in a unit in which they are short."""
    high = max(values, default=1.0)
    scale, unit = (1e-3, "µs") if high < 1 else (1e3, "s") if high >= 1e4 else (1.0, "ms")
    return [f"{value / scale:.6g} {unit}" for value in values]


def _round_places(low: float, high: float) -> list[float]:
    """Some five round numbers between the ends."""
    rough = (high - low) / 5
    power = 10.0 ** floor(log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
    return [step * i for i in range(ceil(low / step), floor(high / step) + 1)]


def _tick(metric: str, value: float, places: Sequence[float]) -> str:
    if metric_info(metric).unit != "share":
        return f"{value:.4g}"
    step = 100 * (places[1] - places[0]) if len(places) > 1 else 1.0
    return f"{100 * value:.{max(0, ceil(-log10(step) - 1e-9))}f} %"


def _points(trace: Figure, across: Scaled, up: Scaled) -> Iterator[str]:
    marker, colour = trace["marker"], trace["meta"]["light"]
    symbols = marker["symbol"]
    for i, (x, y) in enumerate(zip(trace["x"], trace["y"], strict=True)):
        symbol = symbols if isinstance(symbols, str) else symbols[i]
        rim = f'stroke="{_INK}" stroke-width="{marker["line"]["width"][i]}"'
        fill = f'fill="{colour}" {rim}'
        if symbol.endswith("-open"):
            fill = f'fill="none" stroke="{colour}" stroke-width="1.5"'
        bar = trace.get("error_x")
        if bar:
            ends = across.at(max(x - bar["arrayminus"][i], 1e-12)), across.at(x + bar["array"][i])
            yield _line(ends[0], up.at(y), ends[1], up.at(y), colour)
        style = f'{fill} opacity="{marker["opacity"][i]}"'
        yield mark(symbol.removesuffix("-open"), across.at(x), up.at(y), marker["size"][i], style)


def _limits(figure: Figure, across: Scaled, up: Scaled) -> Iterator[str]:
    dash = 'stroke-width="1.5" stroke-dasharray="6 4"'
    for shape in figure["layout"]["shapes"]:
        if shape.get("yref") == "paper" and across.holds(shape["x0"]):
            x = across.at(shape["x0"])
            yield _line(x, up.first, x, up.last, _WARN, dash)
        elif shape.get("xref") == "paper" and up.holds(shape["y0"]):
            y = up.at(shape["y0"])
            yield _line(across.first, y, across.last, y, _WARN, dash)


def _labels(figure: Figure, across: Scaled, up: Scaled) -> Iterator[str]:
    """Of limits and marked points; that of a limit on quality stands where none on latency crosses it."""
    middle = (across.low + across.high) / 2
    crossing = (one["x"] for one in figure["layout"]["annotations"] if one.get("yref") == "paper")
    right = any(isinstance(x, float) and middle < x <= across.high for x in crossing)
    for label in figure["layout"]["annotations"]:
        text = label["text"]
        if label["showarrow"]:
            yield from _arrow(text, across.at_place(label["x"]), up.at(label["y"]), label["ay"] > 0)
        elif label.get("xref") == "paper" and label.get("yref") == "paper":
            yield _text(across.first + 6, up.first - 6, text, anchor="start", fill=_WARN)
        elif label.get("xref") == "paper":
            x, anchor = (across.first + 6, "start") if right else (across.last - 6, "end")
            yield _text(x, up.at(label["y"]) - 5, text, anchor=anchor, fill=_WARN, more=_HALO)
        else:
            x, y = across.at_place(label["x"]) - 5, up.first - 8
            turned = f'transform="rotate(-90 {x:.1f} {y:.1f})"'
            yield _text(x, y, text, anchor="start", fill=_WARN, more=f"{_HALO} {turned}")


def _arrow(text: str, x: float, y: float, below: bool) -> Iterator[str]:
    half = _LETTER * len(text) / 2
    middle = min(max(x, _LEFT + half), WIDTH - _RIGHT - half)
    end = min(y + 34, HEIGHT - _AXIS - 14) if below else max(y - 34, _TOP + 4)
    yield _line(x, y, middle if abs(middle - x) > half else x, end, _SOFT)
    yield _text(middle, end + (12 if below else -3), text, more=f'{_HALO} font-weight="600"')


def _rows(legend: Sequence[Figure]) -> list[list[tuple[float, Figure]]]:
    """The legend's entries with where each begins, in as many rows as they need."""
    rows: list[list[tuple[float, Figure]]] = []
    x = float(WIDTH)
    for trace in legend:
        wide = 34 + _LETTER * len(trace["name"])
        if not rows or x + wide > WIDTH - _RIGHT:
            rows.append([])
            x = _LEFT
        rows[-1].append((x, trace))
        x += wide
    return rows


def _legend(rows: Sequence[Sequence[tuple[float, Figure]]]) -> Iterator[str]:
    for number, row in enumerate(rows):
        y = HEIGHT + _LEGEND_ROW * number + 4
        for x, trace in row:
            marker = trace["marker"]
            yield mark(marker["symbol"], x + 6, y, marker["size"], f'fill="{trace["meta"]["light"]}"')
            yield _text(x + 18, y + 4, trace["name"], anchor="start")
