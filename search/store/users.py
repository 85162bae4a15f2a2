"""Who works with a store now, and which runs ever did: what is needed by none of them may be removed.

Below the store's root:

    .users/<32 hex digits>   a session at work; it holds a lock on the file, whose time is when it began
    .runs/<16 hex digits>    a run that uses the store: its directory, and the way there from the store
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ...profiles.files import make_folder, open_regular, write_whole
from ...profiles.locks import is_held, locked
from ..record.digest import digest_of
from .trouble import writing

USERS, RUNS = ".users", ".runs"
UNKNOWN_FOR_S = 7 * 86400.0
"""So long a session counts as one at work where the disk knows no locks, which alone could tell."""
_LONGEST = 65_536


@dataclass(frozen=True, kw_only=True)
class AtWork:
    """A session at work: its process, the directory of its run, and since when (seconds since the epoch)."""

    process: str
    run_dir: Path | None
    since: float


@contextmanager
def working(root: Path, run_dir: Path) -> Iterator[None]:
    """Be known as one who works with the store at `root`, for the run in `run_dir`, until the block ends.

    A store that cannot be written has nobody who would remove something from it.
    """
    with ExitStack() as stack:
        with suppress(OSError):
            (root / USERS).mkdir(exist_ok=True)
            path = root / USERS / uuid.uuid4().hex
            stack.callback(path.unlink, missing_ok=True)
            stack.enter_context(locked(path))
            path.write_text(f"{os.getpid()}\n{run_dir}", encoding="utf-8", errors="surrogateescape")
        yield


def sessions(root: Path) -> list[AtWork]:
    """The sessions at work. What ended ones left is removed."""
    found = []
    with suppress(OSError):
        for path in (root / USERS).iterdir():
            with suppress(OSError):
                since = path.stat().st_mtime
                held = is_held(path)
                if held or (held is None and time.time() - since < UNKNOWN_FOR_S):
                    process, _, run_dir = _text(path).partition("\n")
                    run = Path(run_dir) if run_dir else None
                    found.append(AtWork(process=process, run_dir=run, since=since))
                else:
                    path.unlink(missing_ok=True)
    return found


def remember_run(root: Path, run_dir: Path) -> None:
    """Write down that a run uses the store, so that whoever tidies it up asks that run.

    Raises:
        UserError: the store cannot be written: what the run needs of it could go.
    """
    path = _place(root, run_dir)
    with writing(root):
        if not path.is_file():
            make_folder(path.parent)
            from_here = os.path.relpath(run_dir, root)
            write_whole(path, f"{os.fsdecode(run_dir)}\n{from_here}")


def known_runs(root: Path) -> list[Path]:
    """The directories of the runs that were remembered, whether they are still there or not.

    Raises:
        OSError: they cannot be read, so that nobody knows who needs what.
    """
    folder = root / RUNS
    if not folder.is_dir():
        return []
    return [_found(root, _text(path)) for path in sorted(folder.iterdir()) if not path.name.startswith(".")]


def _found(root: Path, text: str) -> Path:
    """Where a run lies: a project may have been moved together with its store."""
    run_dir, _, from_here = text.partition("\n")
    moved = Path(os.path.realpath(root / from_here))
    return moved if from_here and moved.is_dir() and not os.path.isdir(run_dir) else Path(run_dir)  # noqa: PTH112


def forget_run(root: Path, run_dir: Path) -> None:
    """A run that is gone needs nothing any more."""
    with suppress(OSError):
        for path in (root / RUNS).iterdir():
            if _found(root, _text(path)) == run_dir:
                path.unlink(missing_ok=True)


def _place(root: Path, run_dir: Path) -> Path:
    return root / RUNS / digest_of(os.fsencode(run_dir).hex())[:16]


def _text(path: Path) -> str:
    with open_regular(path) as file:
        return os.fsdecode(file.read(_LONGEST))
