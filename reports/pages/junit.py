"""JUnit's XML, as GitHub's and GitLab's test reports read it: each check is a test case."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from ...profiles.errors import UserError
from ...profiles.files import write_whole
from ...profiles.words import printable
from ...search.record.checks import Checked, CheckOutcome
from ..content.checks import CHECK_COLUMNS, CheckRow, check_rows

_KINDS = {CheckOutcome.FAILED: "failure", CheckOutcome.SKIPPED: "skipped"}


@dataclass(frozen=True, kw_only=True)
class JunitCase:
    """One test: its class and name, what became of it ("failure", "error", "skipped" or nothing), what is
    said of that in a line, and a text."""

    classname: str
    name: str
    kind: str = ""
    message: str = ""
    text: str = ""


@dataclass(frozen=True, kw_only=True)
class JunitSuite:
    """Tests that took so many seconds; `began` as in a record, "" where that is not known."""

    name: str
    cases: tuple[JunitCase, ...]
    seconds: float = 0.0
    began: str = ""


def cases_of(checked: Checked) -> tuple[JunitCase, ...]:
    """One for each check."""
    return tuple(map(_case, check_rows(checked)))


def junit_text(title: str, suites: Sequence[JunitSuite]) -> str:
    """The document."""
    counts = _counts([case for suite in suites for case in suite.cases])
    root = ElementTree.Element("testsuites", {"name": _said(title), **counts})
    for suite in suites:
        attributes = {"name": _said(suite.name), **_counts(suite.cases), "time": f"{suite.seconds:.3f}"}
        if suite.began:
            attributes["timestamp"] = suite.began.partition("+")[0]
        element = ElementTree.SubElement(root, "testsuite", attributes)
        for case in suite.cases:
            _add(element, case, suite.seconds)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def write_junit(checked: Checked, path: Path) -> None:
    """Write what was checked to a file, whole or not at all.

    Raises:
        UserError: it cannot be written there.
    """
    suite = JunitSuite(name=checked.of, cases=cases_of(checked))
    try:
        write_whole(path, junit_text("paretune", [suite]))
    except OSError as error:
        raise UserError(
            "JUnit's XML cannot be written",
            place=str(path),
            found=error.strerror or str(error),
            accepted="a file in a directory that is there and can be written",
        ) from error


def _case(row: CheckRow) -> JunitCase:
    return JunitCase(
        classname=f"paretune.{row.subject}",
        name=row.what,
        kind=_KINDS.get(row.outcome, ""),
        message=row.verdict,
        text="\n".join(f"{title}: {cell}" for title, cell in zip(CHECK_COLUMNS, row.cells, strict=True)),
    )


def _counts(cases: Sequence[JunitCase]) -> dict[str, str]:
    kinds = [case.kind for case in cases]
    return {
        "tests": str(len(kinds)),
        "failures": str(kinds.count("failure")),
        "errors": str(kinds.count("error")),
        "skipped": str(kinds.count("skipped")),
    }


def _add(suite: ElementTree.Element, case: JunitCase, seconds: float) -> None:
    attributes = {"classname": _said(case.classname), "name": _said(case.name), "time": f"{seconds:.3f}"}
    element = ElementTree.SubElement(suite, "testcase", attributes)
    if case.kind == "skipped":
        ElementTree.SubElement(element, case.kind, {"message": _said(case.message)})
    elif case.kind:
        child = ElementTree.SubElement(
            element, case.kind, {"message": _said(case.message), "type": case.kind}
        )
        child.text = _said(case.text)
    elif case.text:
        ElementTree.SubElement(element, "system-out").text = _said(case.text)


def _said(text: str) -> str:
    """A text without what XML cannot hold."""
    return "".join(c for c in printable(text, len(text)) if ord(c) < 0xFFFE or ord(c) > 0xFFFF)
