"""What was checked, as a part of a page: a table in HTML, and as JSON in a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ...profiles.errors import UserError
from ...profiles.files import write_whole
from ...search.record.checks import Checked
from ..content.checks import CHECK_COLUMNS, advice_lines, check_rows, conclusion
from .page import rendered
from .write import plain


def checks_html(checked: Checked) -> Markup:
    """Table, advice and verdict, escaped: to be put into a page as it is."""
    return Markup(rendered("checks.html", _shown(checked)))  # noqa: S704


def _shown(checked: Checked) -> dict[str, Any]:
    return {
        "columns": [title.capitalize() for title in CHECK_COLUMNS],
        "rows": check_rows(checked),
        "advice": advice_lines(checked),
        "conclusion": conclusion(checked),
    }


def checked_json(checked: Checked) -> str:
    """All of it as strict JSON with the verdict first; `CHECKED` reads it again."""
    whole = {
        "passed": checked.passed,
        "exit_code": checked.exit_code,
        "conclusion": conclusion(checked),
        **plain(checked),
    }
    return json.dumps(whole, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def write_checked(checked: Checked, path: Path) -> None:
    """Write the JSON to a file, whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    try:
        write_whole(path, checked_json(checked))
    except OSError as error:
        raise UserError(
            "what was found cannot be written",
            place=str(path),
            found=error.strerror or str(error),
            accepted="a file in a directory that is there and can be written",
        ) from error
