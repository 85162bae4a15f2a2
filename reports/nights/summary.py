"""A night in a few lines: Markdown for a pull request, JSON for programs."""

from __future__ import annotations

import json
from typing import Any

from ...search.nights.history import NightHistory
from ...search.nights.night import Night
from ...search.record.checks import CheckOutcome
from ..pages.page import rendered
from ..pages.write import plain
from .shown import failed_rows, metric_rows, verdict_line, what_changed

_MOST_CHANGES, _MOST_CHECKS = 8, 12


def summary_markdown(night: Night, history: NightHistory) -> str:
    """Verdict, what changed, what failed, and the numbers: short enough for a comment on a pull request."""
    changes = what_changed(night, history)
    shown = {
        "night": night,
        "verdict": verdict_line(night),
        "changes": changes[:_MOST_CHANGES],
        "more_changes": len(changes) - _MOST_CHANGES,
        "failed": failed_rows(night)[:_MOST_CHECKS],
        "counts": ", ".join(f"{len(night.having(o))} {o.value}" for o in CheckOutcome if night.having(o)),
        "metrics": metric_rows(night, history),
    }
    return rendered("night.md", shown).rstrip("\n") + "\n"


def night_json(night: Night) -> str:
    """All of it as strict JSON, with the verdict first."""
    whole: dict[str, Any] = {"exit_code": night.exit_code, **plain(night)}
    return json.dumps(whole, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
