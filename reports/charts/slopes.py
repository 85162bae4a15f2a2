"""Places on two devices: a line for each configuration, from its place on one to that on the other."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html import escape

from ..content.side_by_side import BothRow, OnDevice, SideBySide
from .plots import Figure, colours

MOST_LINES = 24
"""More lines than that are a thicket; those that are first on either device are drawn."""
_LONGEST = 46
_SETTINGS = re.compile(r" \([^)]*\)")


def slopes_figure(both: SideBySide) -> Figure | None:
    """None where fewer than two configurations were ranked on both devices."""
    rows = [row for row in both.rows if row.first.place and row.other.place]
    if len(rows) < 2:
        return None
    rows = sorted(rows, key=lambda row: min(row.first.place or 0, row.other.place or 0))[:MOST_LINES]
    sides = [_places(rows, lambda row: row.first), _places(rows, lambda row: row.other)]
    places = list(zip(rows, zip(*sides, strict=True), strict=True))
    palette = colours([row.backend for row in rows])
    return {
        "data": [_line(both, row, at, palette[row.backend]) for row, at in places],
        "layout": {
            "xaxis": {
                "tickvals": [0, 1],
                "ticktext": [f"on {escape(device)}" for device in both.devices],
                "range": [-1.1, 2.1],
                "fixedrange": True,
                "side": "top",
            },
            "yaxis": {"range": [len(rows) + 0.6, 0.4], "visible": False, "fixedrange": True},
            "margin": {"l": 12, "r": 12, "t": 40, "b": 12},
            "hovermode": "closest",
            "showlegend": False,
            "annotations": [mark for row, at in places for mark in _marks(row, at)],
        },
    }


def _places(rows: Sequence[BothRow], side: Callable[[BothRow], OnDevice]) -> list[int]:
    """The place of each row among those that are drawn."""
    order = sorted(side(row).place or 0 for row in rows)
    return [order.index(side(row).place or 0) + 1 for row in rows]


def _line(both: SideBySide, row: BothRow, at: tuple[int, ...], palette: tuple[str, str]) -> Figure:
    crosses = at[0] != at[1]
    sides = zip(both.devices, (row.first, row.other), strict=True)
    numbers = [_numbers(both, device, there) for device, there in sides]
    text = "<br>".join([f"<b>{escape(row.title)}</b>", *(line for lines in numbers for line in lines)])
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": escape(row.title),
        "x": [0, 1],
        "y": list(at),
        "hovertext": [text, text],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "line": {"width": 2.5 if crosses else 1.5, "dash": "solid" if crosses else "dot"},
        "marker": {"size": 9, "opacity": 1, "line": {"width": 0}},
        "meta": {"light": palette[0], "dark": palette[1]},
    }


def _numbers(both: SideBySide, device: str, there: OnDevice) -> list[str]:
    cells = ", ".join(f"{t} {c.text}" for t, c in zip(both.columns, there.cells, strict=True))
    return [f"{escape(device)}: {escape(there.shown)}", escape(cells)]


def _marks(row: BothRow, at: tuple[int, ...]) -> list[Figure]:
    sides = ((0, row.first, "right", -10), (1, row.other, "left", 10))
    return [
        {
            "x": x,
            "y": at[x],
            "text": f"{escape(_short(row.title))} · {escape(there.cells[1].text)}",
            "short": f"#{there.number} {escape(there.cells[1].text)}",
            "xanchor": anchor,
            "xshift": shift,
            "showarrow": False,
            "label": True,
        }
        for x, there, anchor, shift in sides
    ]


def _short(title: str) -> str:
    """A title without settings of calibration, cut in its middle where it is long: its end tells as much."""
    text = _SETTINGS.sub("", title)
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:half]}…{text[1 - half :]}"
