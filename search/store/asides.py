"""Folders for what is not yet, or no longer, an entry: `.making/<stage>.<key>.<machine and number>` below the
root. What killed processes left of them is swept by whoever opens the store next.

Whoever has one holds a lock on its key. On some disks that machines share, a lock is seen by one machine, or
by none. So a free lock tells of what this machine made; what others did is left to them for a week.
"""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import re
import time
import uuid
from contextlib import suppress
from pathlib import Path

from ...profiles.locks import is_held
from .trouble import removed
from .users import UNKNOWN_FOR_S
from .uses import lock_of

MAKING = ".making"
_ASIDE = re.compile(r"(?P<stage>[^.]+)\.(?P<key>[^.]+)\.(?P<machine>[0-9a-f]{8})[0-9a-f]{24}")


def aside_of(root: Path, stage: str, key: str) -> Path:
    """A path that nobody else has."""
    return root / MAKING / f"{stage}.{key}.{this_machine()}{uuid.uuid4().hex[8:]}"


def placed(aside: Path, path: Path) -> bool:
    """Have an entry in its place; False where there is one by now: it was made twice, since neither lock nor
    lease kept the two apart.

    Raises:
        OSError: it cannot be put there.
    """
    try:
        aside.rename(path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


def sweep(root: Path) -> None:
    """Remove what killed processes left. What is not ours stays."""
    if not os.access(root / MAKING, os.W_OK):
        return
    with suppress(OSError):
        for aside in sorted((root / MAKING).iterdir()):
            if ours := _ASIDE.fullmatch(aside.name):
                with suppress(OSError):
                    if _is_left(aside, lock_of(root, ours["stage"], ours["key"]), ours["machine"]):
                        removed(aside)


def _is_left(aside: Path, lock: Path, machine: str) -> bool:
    held = _held(lock)
    if held is False and machine == this_machine():
        return True
    return not held and time.time() - aside.lstat().st_mtime > UNKNOWN_FOR_S


def has_ended(lock: Path, machine: str) -> bool:
    """Whether it is certain that who held a lock on a machine has ended."""
    return machine == this_machine() and _held(lock) is False


def _held(lock: Path) -> bool | None:
    with suppress(FileNotFoundError):
        return is_held(lock)
    return False


def this_machine() -> str:
    """By what leftovers of its processes are known: other machines may not see whether one lives."""
    return hashlib.sha256(platform.node().encode()).hexdigest()[:8]
