"""The page of a night: verdict first, what changed, what was checked, and each metric over the nights."""

from __future__ import annotations

from collections.abc import Sequence

from ...search.nights.changes import kinds_changed
from ...search.nights.history import NightHistory
from ...search.nights.night import Night, NightStatus
from ...search.record.metrics import metric_info
from ..charts.plots import Figure
from ..charts.trends import TrendPoint, trend_figure
from ..pages.checks import checks_html
from ..pages.page import plotly, rendered
from . import shown


def night_page(night: Night, history: NightHistory, diff: Sequence[str] = ()) -> str:
    """One HTML page that opens offline. Everything that comes from users is escaped."""
    figures = trends(night, history)
    names = shown.metrics_shown(night, history)
    return rendered(
        "night.html",
        {
            "night": night,
            "headline": f"{night.headline[:1].upper()}{night.headline[1:]}",
            "badge": shown.BADGES[night.status],
            "eyebrow": shown.eyebrow(night),
            "changes": shown.what_changed(night, history),
            "tiles": shown.tiles(night, history),
            "failed": shown.failed_rows(night),
            "parts": [(title, about, checks_html(found)) for title, about, found in shown.parts(night)],
            "trends": {name: metric_info(name) for name in names if name in figures},
            "columns": [metric_info(name).title for name in names[: shown.TILES]],
            "rows": shown.night_rows(night, history),
            "facts": shown.facts_shown(night, history),
            "diff": "\n".join(diff),
        },
        figures=figures,
        plotly=plotly(),
    )


def trends(night: Night, history: NightHistory) -> dict[str, Figure]:
    """A figure for each metric that two nights have, by its name."""
    points = {name: _points(name, night, history) for name in shown.metrics_shown(night, history)}
    found = {name: trend_figure(metric_info(name), points[name]) for name in points}
    return {name: figure for name, figure in found.items() if figure is not None}


def _points(name: str, night: Night, history: NightHistory) -> list[TrendPoint]:
    nights = [*history.nights, night]
    before: Night | None = None
    points = []
    for one in nights:
        changed = kinds_changed(before, one) if before is not None and one.facts else ()
        points.append(
            TrendPoint(
                number=one.number,
                quantity=one.metrics.get(name),
                good=one.status is NightStatus.GOOD,
                text=f"night {one.number}, {shown.when(one)}: {one.headline}",
                changed=", ".join(kind.value for kind in changed),
            )
        )
        before = one if one.facts else before
    return points
