"""Files of the kernel that tell of meters: read with the reason where that is not possible."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from .meter import MeterError, whole_number

_MOST_BYTES = 4096


def text_of(path: Path, remedy: str = "") -> str:
    """What a file holds.

    Raises:
        MeterError: it cannot be read; with `remedy` where that is for lack of permission.
    """
    try:
        # Without blocking: what only looks like a file of the kernel may be a pipe that nobody writes to.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise MeterError(f"{path} is no file")
            return os.read(descriptor, _MOST_BYTES).decode(errors="replace").strip("\0 \r\n\t")
        finally:
            os.close(descriptor)
    except PermissionError as error:
        raise MeterError(f"{path}: permission denied", remedy) from error
    except OSError as error:
        raise MeterError(f"{path}: {error.strerror or error}") from error


def number_of(path: Path, remedy: str = "") -> int:
    """The whole number that a file holds.

    Raises:
        MeterError: it cannot be read, or holds none.
    """
    return whole_number(text_of(path, remedy), str(path))


def name_in(path: Path, usual: str = "") -> str:
    """The name that a file holds; `usual` where it holds none."""
    try:
        found = text_of(path)
    except MeterError:
        return usual
    return found if found.isprintable() and 0 < len(found) <= 60 else usual


def folders(root: Path, pattern: str) -> Sequence[Path]:
    """What matches, in the order of its numbers, each once; nothing where it cannot be looked at."""
    try:
        found = sorted(root.glob(pattern), key=lambda path: (len(path.name), path.name))
        return list({os.path.realpath(path): path for path in found}.values())
    except (OSError, ValueError, RuntimeError):
        return []
