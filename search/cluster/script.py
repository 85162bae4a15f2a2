"""The script that asks for workers: each of them imports it once more."""

from __future__ import annotations

import ast
import sys
from contextlib import suppress
from pathlib import Path

from ...profiles.errors import UserError


def check_script() -> None:
    """See that what the running script does at this moment is not done by whoever imports it.

    Raises:
        UserError: each worker that is started here would do it, too, and start workers.
    """
    line = _line_of_script()
    if line is None:
        return
    file, number = line
    with suppress(OSError, SyntaxError, ValueError):  # of what cannot be read nothing is known
        if not _for_the_script_alone(ast.parse(file.read_bytes()), number):
            raise UserError(
                "workers would run this script once more, each of them",
                place=f"{file}, line {number}",
                found="work that begins wherever the script is imported",
                accepted="work below `if __name__ == '__main__':`",
                remedy="put it there; a notebook need not",
            )


def _line_of_script() -> tuple[Path, int] | None:
    """Where the script is at; None where there is none that workers would import, as in a notebook."""
    main = sys.modules["__main__"]
    file, spec = getattr(main, "__file__", None), getattr(main, "__spec__", None)
    if not isinstance(file, str) or (spec is not None and spec.name.endswith("__main__")):
        return None
    frame = sys._getframe()
    while frame.f_back is not None:
        frame = frame.f_back
        if frame.f_globals is vars(main) and frame.f_code.co_name == "<module>":
            return Path(file), frame.f_lineno
    return None


def _for_the_script_alone(tree: ast.Module, line: int) -> bool:
    """Whether the line is in a block that asks for the script's name."""
    return any(
        isinstance(node, ast.If)
        and node.lineno <= line <= (node.end_lineno or 0)
        and "'__name__'" in ast.dump(node.test)
        for node in ast.walk(tree)
    )
