"""Workers over time: what each of them did when, as plain Plotly data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from ...profiles.words import duration
from ...search.record.evaluation import StudyRecord
from ..content.at_work import in_order
from ..content.work_times import KINDS, OTHER, READY, WAITING, Sessions, pieces, sessions, tasks
from .plots import LEGEND_MARGIN, PALETTE, Figure

MOST_BARS, CELLS = 3000, 240
"""With more bars than that, the time is cut into so many cells: each shows what took the most of it."""
_ROW, _TOP, _LEAST = 26, 90, 320  # pixels
_GREYS = {WAITING: ("#9a9a9a", "#8b8b8b"), OTHER: ("#d0d0d0", "#4a4a4a"), READY: ("#e6e0c8", "#6b6545")}


@dataclass(frozen=True, kw_only=True)
class Bar:
    """Of one worker, from `start` on, in seconds since the beginning."""

    worker: str
    kind: str
    start: float
    seconds: float
    text: str


def worker_times_figure(record: StudyRecord) -> Figure | None:
    """A row for each worker; None for fewer than two."""
    done = tasks(record)
    names = sorted({task.worker for task in done}, key=in_order)
    if len(names) < 2:
        return None
    spent = sessions(done)
    found = [
        Bar(
            worker=piece.task.worker,
            kind=piece.kind,
            start=spent.since_start(piece.start),
            seconds=piece.seconds,
            text=f"{escape(piece.task.title)}<br>{piece.kind}, {duration(piece.seconds)}",
        )
        for task in done
        for piece in pieces(task)
    ]
    bars = found if len(found) <= MOST_BARS else list(_coarse(found, spent))
    longest = spent.seconds
    unit, scale = ("h", 3600.0) if longest > 2 * 3600 else ("min", 60.0) if longest > 120 else ("s", 1.0)
    kinds = [kind for kind in KINDS if any(bar.kind == kind for bar in bars)]
    return {
        "data": [_trace(kind, [bar for bar in bars if bar.kind == kind], scale) for kind in kinds],
        "layout": {
            "xaxis": {"title": {"text": f"Time at work ({unit})"}, "range": [0, longest / scale]},
            "yaxis": {
                "type": "category",
                "categoryorder": "array",
                "categoryarray": names,
                "range": [len(names) - 0.5, -0.5],
                "showgrid": False,
            },
            "barmode": "overlay",
            "bargap": 0.25,
            "hovermode": "closest",
            "height": max(_LEAST, _TOP + LEGEND_MARGIN + _ROW * len(names)),
            "legend": {},
            "margin": {"b": LEGEND_MARGIN},
        },
    }


def _trace(kind: str, bars: Sequence[Bar], scale: float) -> Figure:
    colour = _GREYS.get(kind) or PALETTE[KINDS.index(kind)]
    return {
        "type": "bar",
        "orientation": "h",
        "name": kind,
        "y": [bar.worker for bar in bars],
        "base": [bar.start / scale for bar in bars],
        "x": [bar.seconds / scale for bar in bars],
        "hovertext": [bar.text for bar in bars],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "meta": {"light": colour[0], "dark": colour[1]},
        "marker": {"line": {"width": 0}},
    }


def _coarse(bars: Sequence[Bar], spent: Sessions) -> Iterator[Bar]:
    """Fewer bars that look alike: neighbouring cells of one kind are one."""
    width = spent.seconds / CELLS
    cells: dict[str, dict[int, dict[str, float]]] = defaultdict(lambda: defaultdict(dict))
    for bar in bars:
        end = bar.start + bar.seconds
        for cell in range(int(bar.start / width), min(int(end / width), CELLS - 1) + 1):
            inside = min(end, (cell + 1) * width) - max(bar.start, cell * width)
            found = cells[bar.worker][cell]
            found[bar.kind] = found.get(bar.kind, 0.0) + inside
    for worker, filled in cells.items():
        shown = {cell: _most(kinds, width) for cell, kinds in filled.items()}
        first = 0
        while first < CELLS:
            kind, last = shown.get(first), first + 1
            while last < CELLS and shown.get(last) == kind:
                last += 1
            if kind:
                seconds = (last - first) * width
                text = f"mostly {kind}, {duration(seconds)}"
                yield Bar(worker=worker, kind=kind, start=first * width, seconds=seconds, text=text)
            first = last


def _most(kinds: Mapping[str, float], width: float) -> str | None:
    """What took the most of a cell; None where it was nothing."""
    kind, seconds = max(kinds.items(), key=lambda one: one[1])
    return kind if seconds >= width - sum(kinds.values()) else None
