"""The report as Markdown: the same content as the page, for terminals, issues and mails."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ...search.ranking.ranking import RULES
from ...search.ranking.reading import Reading
from ...search.record.evaluation import StudyRecord
from ..content import search_story, sections, views
from ..content.side_effects import side_effect_table


def markdown_report(reading: Reading) -> str:
    """The report as Markdown."""
    record, answer = reading.record, reading.verdict
    parts = [
        f"# {plain(record.name)}: {views.BADGES[answer.status]}",
        f"**{plain(answer.headline)}**",
        *[bullets([*answer.lines, *answer.sure])],
        "## Candidates",
        table(_headings(record), (_line(row) for row in views.rows(reading))),
        "Intervals are 95 %. A rank with `=` is shared: these candidates cannot be told apart. "
        f"Speed-up is against the strongest simple choice ({_number(answer.baseline)}).",
        "### How the ranking is made",
        "\n".join(f"{i}. {rule}" for i, rule in enumerate(RULES, start=1)),
        *_side_effects(reading),
        *_search(record),
        *_problems(record),
        *_masked(record),
        *_importances(record),
        "## How each number was obtained",
        table(
            ("Metric", "Origin", "How", "Numbers"),
            ((o.metric, o.provenance, o.how, str(o.count)) for o in sections.origins(record)),
        ),
        "## Study and environment",
        bullets(f"{name}: {value}" for name, value in _facts(record)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def plain(text: str) -> str:
    """Text that Markdown shows as it is: no tags, no links, no cell or line breaks."""
    text = re.sub(r"\s+", " ", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", text)


def bullets(lines: Iterable[str]) -> str:
    """A list with one line each."""
    return "\n".join(f"- {plain(line)}" for line in lines)


def table(headings: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table; cells are escaped."""
    shown = [headings, ["---"] * len(headings), *([plain(cell) for cell in line] for line in lines)]
    return "\n".join(f"| {' | '.join(line)} |" for line in shown)


def _headings(record: StudyRecord) -> list[str]:
    titles = [column.title for column in views.columns(record)]
    return ["Rank", "Trial", "Configuration", "Outcome", *titles, "Speed-up", "Remarks"]


def _line(row: views.Row) -> list[str]:
    cells = [_cell(cell) for cell in row.cells]
    remarks = "; ".join(part for part in (", ".join(row.tags), row.reason) if part)
    return [row.rank, f"#{row.number}", row.title, row.outcome, *cells, remarks]


def _cell(cell: views.Cell) -> str:
    return f"{cell.text} ({cell.interval})" if cell.interval else cell.text


def _number(number: int | None) -> str:
    return "none" if number is None else f"#{number}"


def _side_effects(reading: Reading) -> list[str]:
    found = side_effect_table(reading)
    if found is None:
        return []
    parts = ["## Side effects"]
    if found.rows:
        headings = ["Trial", "Configuration", *(title for title, _ in found.columns)]
        cells = ([f"#{row.number}", row.title, *map(_cell, row.cells)] for row in found.rows)
        parts += [
            "Finalists on the test split, each against the uncompressed teacher.",
            table(headings, cells),
        ]
    lines = [*found.lines, *(f"#{reading.verdict.recommended}: {text}" for text in found.raw)]
    return [*parts, *([bullets(lines)] if lines else [])]


def _search(record: StudyRecord) -> list[str]:
    lines = [f"{title}: {text}" for title, text in search_story.story(record)]
    lines += [f"remark: {remark}" for remark in sections.remarks(record)]
    return ["## How the search went", bullets(lines)] if lines else []


def _problems(record: StudyRecord) -> list[str]:
    groups = sections.problems(record)
    if not groups:
        return []
    lines = (
        (str(len(g.cases)), g.outcome, g.reason, ", ".join(f"#{case.number}" for case in g.cases))
        for g in groups
    )
    return ["## Gated, refused and failed", table(("Count", "Outcome", "Why", "Trials"), lines)]


def _masked(record: StudyRecord) -> list[str]:
    groups = sections.masked(record)
    if not groups:
        return []
    lines = ((g.backend, g.what, g.reason) for g in groups)
    return ["## Left out of the space", table(("Backend", "What", "Why"), lines)]


def _importances(record: StudyRecord) -> list[str]:
    found = sections.importances(record)
    if not found:
        return []
    lines = (
        (metric, ", ".join(f"{share.axis} {100 * share.share:.0f} %" for share in shares))
        for metric, shares in found.items()
    )
    return ["## What decides", table(("Metric", "Axes, the strongest first"), lines)]


def _facts(record: StudyRecord) -> list[tuple[str, str]]:
    teacher = [(f"teacher: {name}", value) for name, value in sections.teacher(record)]
    limits = [("limit", views.limit_text(limit)) for limit in record.limits]
    return [*limits, *sections.counters(record), *teacher, *sections.facts(record.environment)]
