"""Entries taken out of a store while others work with it, so that a kill or a power cut leaves none in part.

Each is renamed aside under its lock, the folders are synced, and only then are its files removed; what a kill
leaves aside is swept by whoever opens the store next.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path

from ...profiles.files import sync
from ...profiles.locks import locked
from .asides import MAKING, aside_of, placed
from .contents import KEY, Stored, size_of
from .trouble import removed, writing
from .uses import LOCKS, last_use, lock_of

_AT_ONCE = 64


def remove_entry(root: Path, stage: str, key: str) -> None:
    """Remove an entry that nobody needs any more; what cannot be removed stays."""
    aside = aside_of(root, stage, key)
    with suppress(OSError), locked(lock_of(root, stage, key)):
        (root / stage / key).rename(aside)  # there is the folder of what is made: the entry was
        removed(aside)
        lock_of(root, stage, key).unlink()


def remove_unused(root: Path, entries: Iterable[Stored], before: float) -> Iterator[tuple[Stored, bool]]:
    """Remove entries that nobody has asked for since `before`; each with whether it is gone.

    Raises:
        UserError: the store cannot be written.
    """
    waiting = iter(entries)
    while batch := list(islice(waiting, _AT_ONCE)):
        with ExitStack() as held, writing(root):
            gone = [(entry, _taken_out(root, entry, before, held)) for entry in batch]
            for folder in {root / entry.stage for entry, aside in gone if aside} | {root / MAKING}:
                with suppress(FileNotFoundError):
                    sync(folder)
            for entry, aside in gone:
                if aside is not None:
                    removed(aside)
                    with suppress(OSError):
                        lock_of(root, entry.stage, entry.key).unlink()
        yield from ((entry, aside is not None) for entry, aside in gone)


def _taken_out(root: Path, entry: Stored, before: float, held: ExitStack) -> Path | None:
    """Where an entry lies aside; None where it stays, since it is being made or was asked for."""
    stage, key = entry.stage, entry.key
    lock = lock_of(root, stage, key)
    known = last_use(root, stage, key)
    lock.parent.mkdir(exist_ok=True)
    new = not lock.exists()
    if known >= before or not held.enter_context(locked(lock, wait=False)):
        return None
    if new:  # as if it had always been there: to lock it is not to ask for the entry
        os.utime(lock, (known, known))
    path, aside = root / stage / key, aside_of(root, stage, key)
    aside.parent.mkdir(exist_ok=True)
    try:
        path.rename(aside)
    except FileNotFoundError:  # somebody else removed it
        return None
    if last_use(root, stage, key) >= before and placed(aside, path):  # it was asked for in this moment
        return None
    return aside


def remove_checkpoints(
    root: Path, before: float, needed: frozenset[str] = frozenset(), *, dry_run: bool
) -> tuple[int, int]:
    """Remove checkpoints of interrupted stages that nobody has gone on with since `before`, but those whose
    keys are `needed`; how many stages, and their bytes."""
    count = size = 0
    for path in _listed(root / ".work"):
        stage, _, key = path.name.partition(".")
        newest = max((_time(p) for p in (path, *path.rglob("*"))), default=time.time())
        with ExitStack() as stack, writing(root):
            if newest >= before or not KEY.fullmatch(key) or key in needed:
                continue
            if not stack.enter_context(locked(lock_of(root, stage, key), wait=False)):
                continue
            count, size = count + 1, size + size_of(path)
            if not dry_run:
                removed(path)
    return count, size


def remove_locks(root: Path, before: float) -> None:
    """Remove the locks of what is not there and was not asked for since `before`."""
    for path in _listed(root / LOCKS):
        stage, _, key = path.name.partition(".")
        if KEY.fullmatch(key) and _time(path) < before:
            if os.path.lexists(root / stage / key) or os.path.lexists(root / ".work" / path.name):
                continue
            with suppress(OSError), locked(path, wait=False) as free:
                if free:
                    path.unlink()


def _listed(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(folder.iterdir())
    return []


def _time(path: Path) -> float:
    with suppress(OSError):
        return path.lstat().st_mtime
    return time.time()
