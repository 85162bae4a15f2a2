"""What was checked, for a terminal: a table, what to know of each that did not pass, and the verdict last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...profiles.words import joined
from ...search.record.checks import Checked, CheckOutcome
from ..content.checks import CHECK_COLUMNS, CheckRow, advice_lines, check_rows, conclusion
from .output import show

_MARKS: Mapping[CheckOutcome, tuple[str, str]] = {
    CheckOutcome.PASSED: ("ok", "green"),
    CheckOutcome.FAILED: ("FAILED", "red"),
    CheckOutcome.WARNING: ("warning", "yellow"),
    CheckOutcome.INCONCLUSIVE: ("unclear", "yellow"),
    CheckOutcome.NOTED: ("note", "dim"),
    CheckOutcome.SKIPPED: ("skipped", "dim"),
}


def checked_text(checked: Checked) -> RenderableType:
    """All checks, what to know of each that did not just pass, what to do, and last the verdict."""
    rows = check_rows(checked)
    lines = [*_sentences(rows), *advice_lines(checked)]
    return Group(_table(rows), Text(""), *map(Text, lines), Text(conclusion(checked)))


def _table(rows: Sequence[CheckRow]) -> Table:
    """Its verdicts as one word: the sentences stand below, where they have room."""
    table = Table(show_edge=False, pad_edge=False)
    first = 0 if len({row.subject for row in rows}) > 1 else 1
    for title in ("", *CHECK_COLUMNS[first:-1]):
        table.add_column(title, overflow="fold")
    for row in rows:
        mark, style = _MARKS[row.outcome]
        table.add_row(Text(mark, style=style), *map(Text, row.cells[first:-1]))
    return table


def _sentences(rows: Sequence[CheckRow]) -> list[str]:
    """One for each check that has something to say; those of one subject that say the same have one."""
    said: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        if row.outcome is not CheckOutcome.PASSED or row.remarkable:
            said.setdefault((row.subject, row.verdict), []).append(row.what)
    return [
        f"{joined([whats[0], *map(_in_a_row, whats[1:])])} of {subject}: {verdict}"
        for (subject, verdict), whats in said.items()
    ]


def _in_a_row(title: str) -> str:
    """ "Peak memory" in the middle of a sentence; "ROC AUC" stays."""
    return title if title[:2].isupper() else title[:1].lower() + title[1:]


def show_checked(checked: Checked) -> int:
    """Write it to the terminal; the exit code."""
    show(checked_text(checked))
    return checked.exit_code
