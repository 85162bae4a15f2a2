"""Places on two devices: a line for each configuration, from its place on one to that on the other."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from ..content.side_by_side import BothRow, OnDevice, SideBySide
from .plots import Figure, colours

MOST_LINES = 24
"""More lines than that are a thicket; those that are first on either device are drawn."""
_SHORT = 34


def slopes_figure(both: SideBySide) -> Figure | None:
    """None where fewer than two configurations were ranked on both devices."""
    rows = [row for row in both.rows if row.first.place and row.other.place]
    if len(rows) < 2:
        return None
    rows = sorted(rows, key=lambda row: min(row.first.place or 0, row.other.place or 0))[:MOST_LINES]
    palette = colours([row.backend for row in rows])
    lowest = max(max(row.first.place or 0, row.other.place or 0) for row in rows)
    return {
        "data": [_line(both, row, palette) for row in rows],
        "layout": {
            "xaxis": {
                "tickvals": [0, 1],
                "ticktext": [f"on {escape(device)}" for device in both.devices],
                "range": [-1.1, 2.1],
                "fixedrange": True,
                "zeroline": False,
                "side": "top",
            },
            "yaxis": {"range": [lowest + 0.6, 0.4], "visible": False, "fixedrange": True},
            "hovermode": "closest",
            "showlegend": False,
            "annotations": [mark for row in rows for mark in _marks(row)],
        },
    }


def _line(both: SideBySide, row: BothRow, palette: Mapping[str, tuple[str, str]]) -> Figure:
    crosses = row.first.place != row.other.place
    numbers = [
        _numbers(both, device, there)
        for device, there in zip(both.devices, (row.first, row.other), strict=True)
    ]
    text = "<br>".join([f"<b>{escape(row.title)}</b>", *(line for lines in numbers for line in lines)])
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": escape(row.title),
        "x": [0, 1],
        "y": [row.first.place, row.other.place],
        "hovertext": [text, text],
        "hovertemplate": "%{hovertext}<extra></extra>",
        "line": {"width": 2.5 if crosses else 1.5, "dash": "solid" if crosses else "dot"},
        "marker": {"size": 9, "opacity": 1, "line": {"width": 0}},
        "meta": {"light": palette[row.backend][0], "dark": palette[row.backend][1]},
    }


def _numbers(both: SideBySide, device: str, there: OnDevice) -> list[str]:
    cells = ", ".join(f"{t} {c.text}" for t, c in zip(both.columns, there.cells, strict=True))
    return [f"{escape(device)}: {escape(there.shown)}", escape(cells)]


def _marks(row: BothRow) -> list[Figure]:
    title = row.title if len(row.title) <= _SHORT else f"{row.title[: _SHORT - 1]}…"
    sides = ((0, row.first, "right", -10), (1, row.other, "left", 10))
    return [
        {
            "x": x,
            "y": there.place,
            "text": f"{escape(title)} · {escape(there.cells[1].text)}",
            "short": f"#{there.number} {escape(there.cells[1].text)}",
            "xanchor": anchor,
            "xshift": shift,
            "showarrow": False,
            "label": True,
        }
        for x, there, anchor, shift in sides
    ]
