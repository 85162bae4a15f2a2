"""All that one study's report says, held against what was read and found good.

To renew the files after a change that is meant, and read the difference:
`RENEW=1 pytest tests/reports/pages/test_golden.py`
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import paretune
import pytest
from paretune.reports.pages.explain import explain
from paretune.reports.pages.page import html_page, markdown_report
from paretune.reports.terminal.choose import choice_text, choose
from paretune.search.ranking.ask_again import read_limits, read_weights
from paretune.search.ranking.reading import Reading, read
from paretune.search.record.evaluation import STUDY_RECORD

GOLDEN = Path(__file__).parents[1] / "golden"
EXPLAINED = (8, 5, 57, 0, 36, 7, 13, 17, 9, 15, 58)
"""The answer, the next, a tie, a simple choice, a miss;
given up, certain to be dominated, over a limit, refused, failed, repeated."""
QUESTIONS: tuple[tuple[list[str], list[str]], ...] = (
    ([], ["accuracy=5"]),
    (["latency <= 100 us", "size <= 25 % of teacher"], []),
    (["latency <= 190 us"], []),
    (["accuracy >= teacher - 1 pt absolute", "latency <= 60 us"], []),
    (["worst_class_drop <= 1 pt absolute"], []),
    (["accuracy >= 99 %", "size <= 10 kB"], ["size=0"]),
)


class Text(HTMLParser):
    """What a reader sees, a line for each piece of text, and the notes that wait behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._hidden = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden = tag in ("script", "style")
        note = dict(attrs).get("title")
        self.lines += [f"[{note}]"] if note else []

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        text = re.sub(r"\s+", " ", data).strip()
        self.lines += [text] if text and not self._hidden else []


def text_of_page(reading: Reading) -> str:
    parser = Text()
    parser.feed(html_page(reading))
    return "\n".join(parser.lines) + "\n"


def explained(reading: Reading) -> str:
    return "\n".join(explain(reading, number) for number in EXPLAINED)


def answers(reading: Reading) -> str:
    record, told = reading.record, []
    for where, prefer in QUESTIONS:
        found = choose(record, read_limits(record, where), read_weights(record, prefer))
        told.append(f"$ choose {where} {prefer}\n{choice_text(found)}\nexit {found.verdict.exit_code}\n")
    return "\n".join(told)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("report.md", markdown_report),
        ("report.txt", text_of_page),
        ("explain.md", explained),
        ("choose.txt", answers),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_report_says_what_was_found_good(name: str, made: Callable[[Reading], str]) -> None:
    record = STUDY_RECORD.validate_json((GOLDEN / "study.json").read_bytes())
    said = made(read(record))
    if os.environ.get("RENEW"):
        (GOLDEN / name).write_text(said)
    assert said.splitlines() == (GOLDEN / name).read_text().splitlines()


def test_no_page_ranks_for_itself() -> None:
    """They are given a `Reading`, which a command or a call makes once; `choose` alone reads a record anew,
    for another question."""
    reports = Path(paretune.__file__).parent / "reports"
    pattern = re.compile(r"^from [.\w]+ import .*\b(rank|verdict|read)\b", re.MULTILINE)
    begin = {"commands", "api", "results"}
    pages = [path for path in reports.rglob("*.py") if path.parent.name not in begin]
    assert {path.stem for path in pages if pattern.search(path.read_text())} == {"choose"}
