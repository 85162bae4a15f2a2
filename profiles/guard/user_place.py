"""Where in the files of others something happened: neither ours nor those of installed packages."""

from __future__ import annotations

import inspect
import os
import sysconfig
import traceback
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

_ROOT = Path(__file__).parents[2]
_ROOMS = ("backends", "profiles", "reports", "search")
_LIBRARY_ROOT = sysconfig.get_path("stdlib")
_homes: list[str] = []


def add_home(directory: Path) -> None:
    """Say where a user's files lie. What is installed below it (an environment in their project) is not
    theirs."""
    text = str(directory.absolute())
    if text in _homes:
        _homes.remove(text)
    _homes.append(text)


def place_of_error(error: BaseException) -> str:
    """File and line of their code that came last before the error; "" where none is known."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    return _last_of_theirs(_frames(error))


def place_of_frame(frame: FrameType | None) -> str:
    """The same for code that still runs in this frame."""
    found: list[tuple[str, int]] = []
    while frame is not None:
        found.append((frame.f_code.co_filename, frame.f_lineno))
        frame = frame.f_back
    return _last_of_theirs(reversed(found))


def defined_at(function: object) -> str:
    """File and line where a function, a class or the forward method of a model begins, if it is theirs."""
    try:
        code = _code_of(inspect.unwrap(function) if callable(function) else function)
        if code is not None:
            file, line = code.co_filename, code.co_firstlineno
        elif isinstance(function, type):
            file, line = inspect.getsourcefile(function) or "", inspect.getsourcelines(function)[1]
        else:
            return ""
    except BaseException:  # looking at an attribute runs code of theirs
        return ""
    return "" if not file or _of(file) > _THEIRS else f"{file}, line {line}"


def _code_of(function: Any) -> CodeType | None:
    called = getattr(function, "__init__", None) if isinstance(function, type) else type(function).__call__
    for one in (function, getattr(function, "func", None), getattr(function, "forward", None), called):
        code = getattr(one, "__code__", None)
        if isinstance(code, CodeType):
            return code
    return None


def innermost_is_ours(error: BaseException) -> bool:
    """Whether it was raised by a line of Paretune's own."""
    frames = list(_frames(error))
    return bool(frames) and is_ours(frames[-1][0])


@lru_cache(maxsize=1024)
def is_ours(file: str) -> bool:
    """Whether a source file is one of Paretune's own; examples and tests, which use it, are not."""
    try:
        parts = Path(file).relative_to(_ROOT).parts
    except ValueError:
        return False
    return parts[0] in _ROOMS or parts == ("cli.py",)


def _frames(error: BaseException) -> Iterable[tuple[str, int]]:
    for frame, line in traceback.walk_tb(error.__traceback__):
        yield frame.f_code.co_filename, line


_AT_HOME, _THEIRS, _LIBRARY, _NOBODYS = range(4)


def _last_of_theirs(frames: Iterable[tuple[str, int]]) -> str:
    """The innermost frame that is surely theirs, else one that is likely to be."""
    best, kind = "", _LIBRARY
    for file, line in frames:
        found = _of(file)
        if found <= kind and found < _LIBRARY:
            best, kind = f"{file}, line {line}", found
    return best


def _of(file: str) -> int:
    if file.startswith("<") or is_ours(file):
        return _NOBODYS
    if any(lies_in(file, home) for home in _homes):
        return _AT_HOME
    return _LIBRARY if _is_installed(Path(file)) or _is_below(file, _LIBRARY_ROOT) else _THEIRS


def lies_in(file: str, home: str) -> bool:
    """Whether it lies below a directory of theirs, and is none of what is installed there: packages of an
    environment, or Python itself."""
    if not _is_below(file, home) or _is_below(file, _LIBRARY_ROOT):
        return False
    return not _is_installed(Path(file).relative_to(home))


def _is_below(file: str, directory: str) -> bool:
    return file.startswith(directory.rstrip(os.sep) + os.sep)


def _is_installed(path: Path) -> bool:
    return not {"site-packages", "dist-packages"}.isdisjoint(path.parts)
