"""When an entry was last asked for: the time of its lock's file, which whoever looks for it sets first."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

LOCKS = ".locks"


def lock_of(root: Path, stage: str, key: str) -> Path:
    """The file that whoever makes or removes an entry locks."""
    return root / LOCKS / f"{stage}.{key}"


def touch(root: Path, stage: str, key: str) -> None:
    """Somebody wants the entry: whoever is about to remove it sees that."""
    with suppress(OSError):  # of a store that cannot be written nothing is removed
        lock_of(root, stage, key).touch()


def last_use(root: Path, stage: str, key: str) -> float:
    """When an entry was made or last asked for, in seconds since the epoch; 0 where nothing is known."""
    found = 0.0
    for path in (root / stage / key, lock_of(root, stage, key)):
        with suppress(OSError):
            found = max(found, os.lstat(path).st_mtime)
    return found
