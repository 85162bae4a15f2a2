"""Another study, opened so that nothing of it changes: no file is made, no table, no row."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import optuna

from ...profiles.errors import UserError
from . import write_ahead
from .connect import Database, check_place, checked, connected, on_file
from .storage import storage_trouble_explained
from .study_store import StudyStore
from .trial_records import objectives_of
from .trouble import trouble
from .url import StorageUrl

_PATIENCE_S = 2.0  # for a study that another process is writing to at this moment


@contextmanager
def study_for_reading(url: StorageUrl, name: str) -> Iterator[StudyStore]:
    """An existing study, whose storage is closed again afterwards. Writing to it fails.

    A storage other than a SQLite file is opened as Optuna does, but no tables are made in it.

    Raises:
        UserError: there is no such study, it is locked or damaged, or cannot be read without writing.
    """
    file = url.file
    with storage_trouble_explained(url), ExitStack() as stack:
        try:
            storage = connected(url, make=False) if file is None else _file(url, file)
        except Exception as error:
            raise trouble("the study's storage cannot be opened", url, error) from None
        stack.callback(storage.engine.dispose)
        stack.callback(storage.remove_session)
        if name not in optuna.get_all_study_names(storage):
            raise UserError(f"no study {name!r} in it", place=url.shown)
        study = optuna.load_study(study_name=name, storage=storage)
        yield StudyStore(study, objectives_of(study))


def _file(url: StorageUrl, file: Path) -> Database:
    check_place(file, make=False)
    # SQLite itself reads beside a running process, and what a killed one left in the log. Without a log even
    # a reader would make files beside it, unless the file is said to be unchanging.
    alone = write_ahead.in_use(file) and write_ahead.log_of(file) is None
    engine = on_file(file, "ro&immutable=1" if alone else "ro", _PATIENCE_S)
    with closing(engine[1]["creator"]()) as connection:  # says at once what is wrong
        _check_readable(connection, file)
    return checked(url, engine, make=False)


def _check_readable(connection: sqlite3.Connection, file: Path) -> None:
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        journal = file.with_name(file.name + "-journal")
        if "readonly" in str(error) and journal.is_file() and journal.stat().st_size > 0:
            raise UserError(
                "a process was killed while it wrote to it, which only a run of that study can mend",
                place=str(file),
            ) from error
        raise
