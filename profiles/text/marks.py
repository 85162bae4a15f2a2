"""Where something stands in a YAML file, and several problems of one file in one message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..errors import UserError
from ..words import printable

Keys = tuple[str | int, ...]
"""The way to a value: keys of mappings and positions in lists."""

_MOST_SHOWN = 20


def dotted(keys: Keys) -> str:
    """The way to a value as messages show it."""
    return ".".join(printable(str(key), 60) for key in keys)


class Mark(NamedTuple):
    """A place in a text, both counted from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


Problem = tuple[Mark | None, str]


def several(problems: Sequence[Problem], name: str, what: str) -> UserError:
    """One error for all problems of a file, in the order of their places."""
    if len(problems) == 1:
        mark, problem = problems[0]
        return UserError(problem, place=f"{name}, {mark}" if mark else name)
    ordered = sorted(problems, key=lambda item: item[0] or Mark(0, 0))
    lines = [f"    {mark}: {text}" if mark else f"    {text}" for mark, text in ordered[:_MOST_SHOWN]]
    left = len(ordered) - len(lines)
    lines += [f"    and {left} more"] if left else []
    return UserError("\n".join([f"{len(ordered)} problems in this {what}", *lines]), place=name)
