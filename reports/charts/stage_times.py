"""Where the time of a study went, stage by stage, as plain Plotly data."""

from __future__ import annotations

from collections import defaultdict

from ...profiles.words import duration
from ...search.record.evaluation import StudyRecord
from .plots import GOOD, Figure

OTHER = "between stages"


def stage_seconds(record: StudyRecord) -> dict[str, float]:
    """Seconds that the trials spent in each stage, the longest first; what the store answered costs none."""
    spent: dict[str, float] = defaultdict(float)
    for trial in record.trials:
        if trial.duplicate_of is None:
            staged = {s.key: s for s in trial.evaluation.stages if not s.cached}
            for stage in staged.values():
                spent[stage.name] += stage.seconds
            spent[OTHER] += max(trial.seconds - sum(s.seconds for s in staged.values()), 0.0)
    longest_first = sorted(spent, key=lambda name: -spent[name])
    return {name: spent[name] for name in longest_first if spent[name] > 0}


def stage_times_figure(record: StudyRecord) -> Figure | None:
    """A bar for each stage; None for fewer than two."""
    spent = stage_seconds(record)
    if len(spent) < 2:
        return None
    longest = max(spent.values())
    unit, scale = ("h", 3600.0) if longest > 2 * 3600 else ("min", 60.0) if longest > 120 else ("s", 1.0)
    total = sum(spent.values())
    bars = {
        "type": "bar",
        "orientation": "h",
        "name": "time",
        "x": [seconds / scale for seconds in spent.values()],
        "y": [name.replace("_", " ") for name in spent],
        "text": [f"{duration(seconds)}, {100 * seconds / total:.0f} %" for seconds in spent.values()],
        "textposition": "auto",
        "hovertemplate": "%{y}: %{text}<extra></extra>",
        "meta": {"light": GOOD[0], "dark": GOOD[1]},
        "marker": {"line": {"width": 0}},
        "showlegend": False,
    }
    return {
        "data": [bars],
        "layout": {
            "xaxis": {"title": {"text": f"Time ({unit})"}},
            "yaxis": {"autorange": "reversed", "type": "category"},
            "hovermode": "closest",
        },
    }
