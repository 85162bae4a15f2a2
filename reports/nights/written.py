"""The files of a night, by their names: page, JUnit XML, Markdown summary and JSON."""

from __future__ import annotations

from collections.abc import Sequence

from ...search.nights.history import PAGE as PAGE
from ...search.nights.history import NightHistory
from ...search.nights.night import Night
from .junit import junit_xml
from .page import night_page
from .summary import night_json, summary_markdown

JUNIT, SUMMARY, JSON = "junit.xml", "summary.md", "summary.json"


def files_of(night: Night, history: NightHistory, diff: Sequence[str] = ()) -> dict[str, str]:
    """All of them."""
    return {
        JUNIT: junit_xml(night),
        SUMMARY: summary_markdown(night, history),
        JSON: night_json(night),
        PAGE: night_page(night, history, diff),
    }
