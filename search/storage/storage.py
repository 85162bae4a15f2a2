"""Optuna's storage and the run's directory: opened, locked, and with trouble told in one message."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import optuna

from ...profiles.errors import UserError
from ...profiles.files import locked
from .transactions import allow_together
from .url import shown_url, sqlite_file

MEND_SERVER = "give an Optuna storage URL whose server runs, and run again: what was finished is kept"
MEND_FILE = (
    "free some space or make the place writable, and run again: what was finished is kept. A file that is "
    "lost or damaged is restored from a copy, or removed: a new run takes every finished stage from the store"
)


def open_storage(url: str) -> optuna.storages.RDBStorage:
    """Optuna's storage at a URL, prepared for several writes in one transaction (`transactions.together`).

    Raises:
        UserError: it cannot be opened.
    """
    try:
        storage = optuna.storages.RDBStorage(url)
        allow_together(storage)
        return storage
    except Exception as error:
        raise _storage_error("the study's storage cannot be opened", url, error) from error


def close_storage(storage: optuna.storages.RDBStorage) -> None:
    """Close its connections: an open one keeps a SQLite file from being merged with its log."""
    storage.remove_session()
    storage.engine.dispose()


@contextmanager
def storage_trouble_explained(url: str) -> Iterator[None]:
    """Turn a storage that fails in the middle (a full disk, a server that went away) into one message.

    Raises:
        UserError: it failed.
    """
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        raise _storage_error("the study's storage fails", url, error) from error


def _storage_error(problem: str, url: str, error: BaseException) -> UserError:
    while isinstance(error, optuna.exceptions.StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__
    known = sqlite_file(url)
    return UserError(
        problem,
        place=shown_url(url),
        found=str(error).splitlines()[0],
        remedy=MEND_SERVER if known is None else MEND_FILE,
    )


@contextmanager
def writing(run_dir: Path) -> Iterator[None]:
    """Turn a directory that cannot be written into one message.

    Raises:
        UserError: it cannot.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            "the run's directory cannot be written",
            place=str(run_dir),
            found=error.strerror or str(error),
            remedy="free some space, make it writable, or name another one with `runs` in the study file",
        ) from error


@contextmanager
def only_one_run(run_dir: Path) -> Iterator[None]:
    """Hold the run's lock; the kernel frees it when this process ends, however it ends.

    Raises:
        UserError: another process runs this study.
    """
    path = run_dir / ".lock"
    with ExitStack() as stack:
        with writing(run_dir):
            run_dir.mkdir(parents=True, exist_ok=True)
            free = stack.enter_context(locked(path, wait=False))
        if not free:
            raise UserError(
                "this study is being run by another process",
                place=str(run_dir),
                found=f"process {path.read_text().strip() or 'unknown'}",
                remedy="wait for it, or stop it with Ctrl-C: everything it finished is kept",
            )
        path.write_text(str(os.getpid()))
        yield
