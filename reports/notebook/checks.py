"""Checks and nights as HTML for a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from ...search.record.checks import Checked, CheckOutcome
from ..content.checks import CHECK_COLUMNS, advice_lines, check_rows, conclusion
from ..pages.page import rendered
from .shown import BAD, GOOD, PLAIN, WARN

_STYLES: Mapping[CheckOutcome, str] = {
    CheckOutcome.PASSED: GOOD,
    CheckOutcome.FAILED: BAD,
    CheckOutcome.WARNING: WARN,
    CheckOutcome.INCONCLUSIVE: WARN,
}


def checks_made_html(checked: Checked) -> str:
    """A table of all checks, what to do, and the verdict."""
    found = check_rows(checked)
    first = 0 if len({row.subject for row in found}) > 1 else 1  # all of one thing: the last line names it
    titles = [title.capitalize() for title in CHECK_COLUMNS[first:-1]]
    shown = {
        "columns": [*titles, "", CHECK_COLUMNS[-1].capitalize()],
        "rows": [(row.outcome.value, _STYLES.get(row.outcome, PLAIN), row.cells[first:-1]) for row in found],
        "verdicts": [row.verdict for row in found],
        "advice": advice_lines(checked),
        "conclusion": conclusion(checked),
    }
    return rendered("notebook_checks.html", shown)


def night_html(lines: Sequence[str], parts: Sequence[tuple[str, str, Checked]]) -> str:
    """What a night found: its lines, and each of its checks under a title."""
    said = [Markup("<p style='margin:2px 0'>{}</p>").format(line) for line in lines]
    for title, about, checked in parts:
        said.append(Markup("<h4>{}</h4><p>{}</p>").format(title, about))
        said.append(Markup(checks_made_html(checked)))  # noqa: S704 - escaped by its template
    return str(Markup("").join(said))
