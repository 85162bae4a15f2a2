"""Another study, opened so that nothing of it changes: no file is made, no table, no row."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna

from ...profiles.errors import UserError
from . import write_ahead
from .study_store import StudyStore
from .url import shown_url, sqlite_file

_PATIENCE_S = 2.0  # for a study that another process is writing to at this moment


@contextmanager
def study_for_reading(url: str, name: str) -> Iterator[StudyStore]:
    """An existing study, whose storage is closed again afterwards. Writing to it fails.

    A storage other than a SQLite file is opened as Optuna does, but no tables are made in it.

    Raises:
        UserError: there is no such study, or it cannot be read without writing.
        Exception: what Optuna, SQLAlchemy and the driver raise about a storage that is locked or damaged.
    """
    file = sqlite_file(url)
    with ExitStack() as stack:
        storage = _server(url) if file is None else _file(file)
        stack.callback(storage.engine.dispose)
        stack.callback(storage.remove_session)
        if name not in optuna.get_all_study_names(storage):
            raise UserError(f"no study {name!r} in it", place=shown_url(url))
        study = optuna.load_study(study_name=name, storage=storage)
        yield StudyStore(study, tuple(study.metric_names or ()))


def _server(url: str) -> optuna.storages.RDBStorage:
    return optuna.storages.RDBStorage(url, skip_table_creation=True)


def _file(file: Path) -> optuna.storages.RDBStorage:
    if not file.is_file():
        raise UserError("the study's storage is gone", place=str(file))
    uri = _read_only_uri(file)

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, timeout=_PATIENCE_S, check_same_thread=False)

    with closing(connect()) as connection:  # says at once what is wrong, without a pool around it
        _check_readable(connection, file)
    options: dict[str, Any] = {"creator": connect}
    # The name in this URL is not used, since `creator` connects; braces in a path would upset Optuna.
    return optuna.storages.RDBStorage("sqlite:///file.db", options, skip_table_creation=True)


def _read_only_uri(file: Path) -> str:
    """SQLite itself reads beside a running process, and what a killed one left in the log."""
    uri = f"file:{quote(str(file.resolve()))}?mode=ro"
    # Without a log even a reader would make files beside it, unless the file is said to be unchanging.
    alone = write_ahead.in_use(file) and write_ahead.log_of(file) is None
    return f"{uri}&immutable=1" if alone else uri


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
