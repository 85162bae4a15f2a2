"""Optuna's storage and the run's directory: opened, locked, and with trouble told in one message."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import optuna
from sqlalchemy.exc import SQLAlchemyError

from ...profiles.errors import UserError
from ...profiles.files import make_folder
from ...profiles.locks import locked
from .connect import Database, connected
from .lost import ServerLostError
from .transactions import allow_together
from .trouble import trouble
from .url import StorageUrl


def open_storage(url: StorageUrl, *, make: bool = True) -> Database:
    """Optuna's storage at a URL, prepared for several writes in one transaction (`transactions.together`).
    `make`: what is not there is made.

    Raises:
        UserError: it cannot be opened.
    """
    try:
        storage = connected(url, make=make)
    except Exception as error:
        # Not from it: what a driver says may have a password in it.
        raise trouble("the study's storage cannot be opened", url, error) from None
    allow_together(storage)
    return storage


def close_storage(storage: optuna.storages.RDBStorage) -> None:
    """Close its connections: an open one keeps a SQLite file from being merged with its log."""
    storage.remove_session()
    storage.engine.dispose()


@contextmanager
def storage_trouble_explained(url: StorageUrl) -> Iterator[None]:
    """Turn a storage that fails in the middle (a full disk, a server that went away) into one message.

    Raises:
        UserError: it failed.
    """
    try:
        yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError, ServerLostError) as error:
        raise trouble("the study's storage fails", url, error) from None


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
            found=f"{error.filename or run_dir}: {error.strerror or error}",
            remedy="free some space, make it writable, move away what stands there, or name another one with "
            "`runs` in the study file",
        ) from error


@contextmanager
def only_one_run(run_dir: Path) -> Iterator[None]:
    """Hold the run's lock; the kernel frees it when this process ends, however it ends. Of a run that came to
    nothing no directory stays.

    Raises:
        UserError: another process runs this study.
    """
    path = run_dir / ".lock"
    with ExitStack() as stack:
        with writing(run_dir):
            missing = [one for one in (run_dir, *run_dir.parents) if not one.exists()]
            make_folder(run_dir)
            free = stack.enter_context(locked(path, wait=False))
        if not free:
            raise UserError(
                "this study is being run by another process",
                place=str(run_dir),
                found=f"process {path.read_text().strip() or 'unknown'}",
                remedy="wait for it, or stop it with Ctrl-C: everything it finished is kept",
            )
        path.write_text(str(os.getpid()))
        stack.callback(_unmake, path, missing)
        yield


def _unmake(lock: Path, made: Iterable[Path]) -> None:
    """Remove the folders that were made for a lock, where nothing else is in them."""
    with suppress(OSError):
        if [*lock.parent.iterdir()] == [lock]:
            lock.unlink()
            for folder in made:
                folder.rmdir()
