"""What was checked as JUnit's XML, which every CI shows as tests."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from ...profiles.errors import UserError
from ...profiles.files import write_whole
from ...profiles.words import printable
from ...search.record.checks import Checked, CheckOutcome
from ..content.checks import CheckRow, check_rows, conclusion

_NOT_DECIDED = (CheckOutcome.SKIPPED, CheckOutcome.INCONCLUSIVE)


def junit_text(checked: Checked, suite: str = "paretune") -> str:
    """One test for each check: those out of their band fail; those that could not tell, or could not be
    asked, are skipped with the reason."""
    rows = check_rows(checked)
    counts = {
        "tests": len(rows),
        "failures": sum(row.outcome is CheckOutcome.FAILED for row in rows),
        "errors": 0,
        "skipped": sum(row.outcome in _NOT_DECIDED for row in rows),
    }
    shown = {name: str(count) for name, count in counts.items()}
    root = ElementTree.Element("testsuites", {"name": suite, **shown})
    inner = ElementTree.SubElement(root, "testsuite", {"name": _clean(checked.of), **shown})
    for row in rows:
        _case(inner, row)
    ElementTree.SubElement(inner, "system-out").text = _clean(conclusion(checked))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def write_junit(checked: Checked, path: Path) -> None:
    """Write it to a file, whole or not at all.

    Raises:
        UserError: it cannot be written there.
    """
    try:
        write_whole(path, junit_text(checked))
    except OSError as error:
        raise UserError(
            f"JUnit's XML cannot be written ({error.strerror or error})", place=str(path)
        ) from None


def _case(suite: ElementTree.Element, row: CheckRow) -> None:
    case = ElementTree.SubElement(
        suite, "testcase", classname=_clean(row.subject), name=_clean(row.what), time="0"
    )
    if row.outcome is CheckOutcome.FAILED:
        failure = ElementTree.SubElement(case, "failure", message=_clean(row.verdict))
        failure.text = _clean(
            f"expected {row.expected}, found {row.found}: {row.change}, tolerated {row.tolerated}"
        )
    elif row.outcome in _NOT_DECIDED:
        ElementTree.SubElement(case, "skipped", message=_clean(row.verdict))


def _clean(text: str) -> str:
    """Without what XML cannot have."""
    return printable(text).translate({0xFFFE: "?", 0xFFFF: "?"})
