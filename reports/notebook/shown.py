"""What a study says as HTML for a notebook: no script, and small enough to be kept in the file."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from ...profiles.words import counted
from ...search.ranking.reading import Reading
from ...search.ranking.verdict import DO_NOTHING, MET, NOTHING_USABLE, Verdict
from ..charts.plots import front_figure
from ..content.columns import columns
from ..content.views import Row, badge, rows
from ..pages.page import rendered
from .drawing import WIDTH, svg

MOST_ROWS = 8
"""Of a run's table; the whole of it is a data frame."""
GOOD, WARN, BAD, PLAIN = (
    "background:#e3f4ea; color:#0f6b3c",
    "background:#fdf0dc; color:#8a4b00",
    "background:#fde8e8; color:#a4262c",
    "background:#f2f4f6; color:#57606a",
)
"""Colours that are read on a light page and on a dark one."""
_OTHERS = ("not_met", "undecided", "provisional")
_STYLES: Mapping[str, str] = {
    MET: GOOD,
    DO_NOTHING: GOOD,
    NOTHING_USABLE: BAD,
    **dict.fromkeys(_OTHERS, WARN),
}


def run_html(reading: Reading, more: str = "") -> str:
    """The answer, the front as a picture, and the first of the table. `more` is said below it."""
    shown, left = _first_rows(reading)
    rest = [f"{counted(left, 'more candidate')}: `.table` has all of them" if left else "", more]
    return _rendered(
        reading,
        answer=reading.verdict,
        picture=picture(reading),
        rows=shown,
        more="; ".join(filter(None, rest)),
    )


def front_html(reading: Reading) -> str:
    """The front alone: the picture, and a row for each candidate on it."""
    on_front = {entry.number for entry in reading.ranking.entries if entry.on_front}
    shown = [row for row in rows(reading) if row.number in on_front]
    return _rendered(reading, picture=picture(reading), rows=shown)


def verdict_html(verdict: Verdict) -> str:
    """The answer in words."""
    return rendered("notebook.html", {**_NOTHING, "answer": verdict, "badge": badge(verdict)})


def front_svg(reading: Reading) -> str:
    """The front as SVG; empty without points."""
    figure = front_figure(reading)
    return "" if figure is None else svg(figure, reading.record.quality)


def picture(reading: Reading) -> str:
    """The front as an image that stands in its own address; empty without points. One that is part of the
    page would be dropped where a notebook is not trusted."""
    drawn = base64.b64encode(front_svg(reading).encode("utf-8")).decode("ascii")
    return f"data:image/svg+xml;base64,{drawn}" if drawn else ""


_NOTHING: Mapping[str, Any] = {
    "badge_style": _STYLES,
    "answer": None,
    "badge": None,
    "about": "",
    "picture": "",
    "width": WIDTH,
    "rows": (),
    "columns": (),
    "more": "",
}


def _rendered(reading: Reading, **shown: Any) -> str:
    record = reading.record
    about = {
        "badge": badge(reading.verdict),
        "about": f"{record.name}: {record.workload} on {record.profile}",
        "columns": columns(record),
    }
    return rendered("notebook.html", {**_NOTHING, **about, **shown})


def _first_rows(reading: Reading) -> tuple[Sequence[Row], int]:
    """The first of the ranking with the recommended one and the simple choice, and how many are left out."""
    answer, table = reading.verdict, rows(reading)
    named = {answer.recommended, answer.baseline}
    shown = [row for i, row in enumerate(table) if i < MOST_ROWS or row.number in named]
    return shown, len(table) - len(shown)
