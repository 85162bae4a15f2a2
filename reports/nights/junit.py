"""A night as JUnit XML, as GitHub's and GitLab's test reports read it: each check is a test case."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from ...profiles.words import printable
from ...search.nights.night import Night, NightStatus
from ...search.record.checks import CheckOutcome, MetricCheck
from ..content.checks import CHECK_COLUMNS, CheckRow, check_rows

_Case = tuple[str, str, str, str, str]
"""Class, name, what became of it ("failure", "error", "skipped" or nothing), its message and its text."""


def junit_xml(night: Night) -> str:
    """One suite for the night itself and one for each thing that was checked."""
    suites = [("night", [_of_night(night)])]
    for name, checked in (("deployed", night.verified), ("found", night.regressed)):
        if checked is not None:
            suites.append((name, list(map(_of_check, checked.checks, check_rows(checked)))))
    root = ElementTree.Element(
        "testsuites",
        {
            "name": f"paretune nightly {_said(night.study)}",
            **_counts([c for _, cases in suites for c in cases]),
        },
    )
    for name, cases in suites:
        attributes = {
            "name": name,
            **_counts(cases),
            "time": f"{night.seconds if name == 'night' else 0:.3f}",
        }
        if night.began:
            attributes["timestamp"] = night.began.partition("+")[0]
        suite = ElementTree.SubElement(root, "testsuite", attributes)
        for case in cases:
            _add(suite, case, night.seconds if name == "night" else 0.0)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _of_night(night: Night) -> _Case:
    kind = {
        NightStatus.FAILED: "error",
        NightStatus.KILLED: "error",
        NightStatus.STOPPED: "error",
        NightStatus.UNUSABLE: "failure",
        NightStatus.SKIPPED: "skipped",
        NightStatus.UNFINISHED: "skipped",
    }.get(night.status, "")
    kind = "error" if night.overdue else kind
    text = "\n".join(filter(None, (night.reason, night.log)))
    return "paretune.night", "the night has an answer", kind, night.headline, text


def _of_check(check: MetricCheck, row: CheckRow) -> _Case:
    kind = {CheckOutcome.FAILED: "failure", CheckOutcome.SKIPPED: "skipped"}.get(check.outcome, "")
    text = "\n".join(f"{title}: {cell}" for title, cell in zip(CHECK_COLUMNS, row.cells, strict=True))
    return f"paretune.{check.subject}", row.what, kind, row.verdict, text


def _counts(cases: Sequence[_Case]) -> dict[str, str]:
    kinds = [case[2] for case in cases]
    return {
        "tests": str(len(kinds)),
        "failures": str(kinds.count("failure")),
        "errors": str(kinds.count("error")),
        "skipped": str(kinds.count("skipped")),
    }


def _add(suite: ElementTree.Element, case: _Case, seconds: float) -> None:
    classname, name, kind, message, text = case
    attributes = {"classname": _said(classname), "name": _said(name), "time": f"{seconds:.3f}"}
    element = ElementTree.SubElement(suite, "testcase", attributes)
    if kind == "skipped":
        ElementTree.SubElement(element, kind, {"message": _said(message)})
    elif kind:
        child = ElementTree.SubElement(element, kind, {"message": _said(message), "type": kind})
        child.text = _said(text)
    elif text:
        ElementTree.SubElement(element, "system-out").text = _said(text)


def _said(text: str) -> str:
    """A text without what XML cannot hold."""
    return "".join(c for c in printable(text, len(text)) if ord(c) < 0xFFFE or ord(c) > 0xFFFF)
