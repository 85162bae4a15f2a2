"""A storage connected to, as Optuna's `RDBStorage`: made where it may be, and read whatever stands in it."""

from __future__ import annotations

import json
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy import ColumnClause, Connection, column, create_engine, inspect, select, table

from ...profiles.errors import UserError
from ...profiles.words import escaped
from .server import engine_options
from .trouble import MEND_DAMAGE
from .url import StorageUrl

T = TypeVar("T")

TABLES = {
    "studies", "study_directions", "study_system_attributes", "study_user_attributes", "trial_heartbeats",
    "trial_intermediate_values", "trial_params", "trial_system_attributes", "trial_user_attributes",
    "trial_values", "trials", "version_info",
}  # fmt: skip
_DAMAGE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    RecursionError,
)
"""What Optuna raises of what is not as it was written: it checks nothing that it reads."""
_JSON = {
    "study_user_attributes": ("study_id", "key", "value_json"),
    "study_system_attributes": ("study_id", "key", "value_json"),
    "trial_user_attributes": ("trial_id", "key", "value_json"),
    "trial_system_attributes": ("trial_id", "key", "value_json"),
    "trial_params": ("trial_id", "param_name", "distribution_json"),
}


_LONGEST, _LONGEST_NAME = 500, 240
"""Bytes in a path and in a name; SQLite's limit is 512, that of file systems mostly 255."""


class NoStudiesError(UserError):
    """A database in which Optuna has kept nothing yet."""


class Database(RDBStorage):
    """Optuna's storage; what is damaged in it is told in one message, with its place."""

    def __init__(self, url: StorageUrl, engine: tuple[str, dict[str, Any]], *, make: bool) -> None:
        self.place = url.shown
        filled_in = engine[0].replace("{", "{{").replace("}", "}}")  # Optuna fills in what stands in braces
        super().__init__(filled_in, engine[1], skip_table_creation=not make)

    def _get_trials(self, *args: Any, **kwargs: Any) -> list[FrozenTrial]:
        trials = super()._get_trials(*args, **kwargs)
        numbers = Counter(trial.number for trial in trials)
        wrong = [number for number, count in numbers.items() if count > 1 or not isinstance(number, int)]
        if wrong:
            raise ValueError(f"{numbers[wrong[0]]} trials have the number {wrong[0]}")
        return trials


def _told(read: Callable[..., T]) -> Callable[..., T]:
    @wraps(read)
    def told(self: Database, *args: Any, **kwargs: Any) -> T:
        try:
            return read(self, *args, **kwargs)
        except _DAMAGE as error:
            raise _damaged(self, error) from None

    return told


for _name in (
    "get_all_studies", "get_all_trials", "get_study_directions", "get_study_system_attrs",
    "get_study_user_attrs", "get_trial", "_get_trials",
):  # fmt: skip
    setattr(Database, _name, _told(getattr(Database, _name)))


def _damaged(storage: Database, error: Exception) -> UserError:
    with storage.engine.connect() as connection:
        place = next(_broken(connection), "")
    found = place or f"{type(error).__name__}: {error}".splitlines()[0]
    return UserError("the study's storage is damaged", place=storage.place, found=found, remedy=MEND_DAMAGE)


def _broken(connection: Connection) -> Iterator[str]:
    """Where something stands that is no JSON."""
    for name, (owner, key, value) in _JSON.items():
        columns: list[ColumnClause[Any]] = [column(owner), column(key), column(value)]
        rows = connection.execute(select(*columns).select_from(table(name)).order_by(column(owner)))
        for number, attribute, written in rows:
            try:
                json.loads(written)
            except (ValueError, TypeError, RecursionError) as error:
                yield f"{_named(connection, owner, number)}: {attribute!r} ({name}) is no JSON: {error}"


def _named(connection: Connection, owner: str, key: int) -> str:
    """The study, or a trial by the number that users know."""
    if owner == "study_id":
        return "the study"
    number: ColumnClause[Any] = column("number")
    query = select(number).select_from(table("trials")).where(column("trial_id") == key)
    return f"trial {connection.execute(query).scalar()}"


def connected(url: StorageUrl, *, make: bool) -> Database:
    """Optuna's storage at a URL. `make`: its tables are made where there are none.

    Raises:
        NoStudiesError: nothing is kept in it.
        UserError: not all of what is kept is there.
        Exception: what Optuna, SQLAlchemy and the driver raise.
    """
    file = url.file
    if file is not None:
        check_place(file, make=make)
    engine = _server(url) if file is None else on_file(file, "rwc" if make else "rw", url.timeout)
    return checked(url, engine, make=make)


def checked(url: StorageUrl, engine: tuple[str, dict[str, Any]], *, make: bool) -> Database:
    """Optuna's storage on what an engine is made from, with all of its tables.

    Raises:
        NoStudiesError: nothing is kept in it.
        UserError: not all of what is kept is there.
        Exception: what Optuna, SQLAlchemy and the driver raise.
    """
    there = _tables(*engine)
    empty = there is None
    if empty and not make:
        raise NoStudiesError("no study is in it", place=url.shown, found="a database without Optuna's tables")
    storage = Database(url, engine, make=empty)
    if lost := sorted(TABLES - (there or TABLES)):
        storage.engine.dispose()
        raise UserError(
            "the study's storage is damaged",
            place=url.shown,
            found=f"tables are missing: {', '.join(lost)}",
            remedy=MEND_DAMAGE,
        )
    return storage


def check_place(file: Path, *, make: bool) -> None:
    """Refuse what SQLite would wait for, write over, or leave out without a word.

    Raises:
        UserError: what lies there is no file, or the log of a file that is gone; or none can lie there.
    """
    try:
        _check_place(file, make=make)
    except OSError as error:
        raise UserError(
            "the study's storage cannot be reached",
            place=escaped(str(file)),
            found=error.strerror or str(error),
        ) from None


def _check_place(file: Path, *, make: bool) -> None:
    if len(os.fsencode(file)) > _LONGEST or len(os.fsencode(file.name)) > _LONGEST_NAME:
        raise UserError(
            "the name of the study's storage is too long",
            place=escaped(str(file)),
            accepted=f"at most {_LONGEST} bytes, {_LONGEST_NAME} of them for the file itself: SQLite writes "
            "longer names beside it",
        )
    with suppress(FileNotFoundError, NotADirectoryError):
        file.stat()  # whatever is wrong with its name, in the system's own words
    if file.exists() and not file.is_file():
        what = "a directory" if file.is_dir() else "no regular file"
        raise UserError("the study's storage is no file", place=str(file), found=what)
    log = file.with_name(file.name + "-wal")
    there = file.is_file() and file.stat().st_size > 0
    if not there and log.is_file() and log.stat().st_size > 0:
        raise UserError(
            "the study's storage is gone, its log lies there alone",
            place=str(file),
            found=log.name,
            remedy=f"restore {file.name} beside it; or remove {log.name} as well, which is of no use alone",
        )
    if make and not file.exists() and file.parent.is_dir() and not os.access(file.parent, os.W_OK | os.X_OK):
        raise UserError("the directory of the study's storage may not be written", place=str(file.parent))
    if not make and not file.is_file():
        raise UserError("the study's storage is gone", place=str(file), remedy=MEND_DAMAGE)


def _server(url: StorageUrl) -> tuple[str, dict[str, Any]]:
    server = url.server
    return server.render_as_string(hide_password=False), engine_options(server)


def on_file(file: Path, mode: str, timeout: float | None = None) -> tuple[str, dict[str, Any]]:
    """What an engine on a SQLite file is made from. The file's own name is in no URL: SQLAlchemy, Optuna and
    SQLite all read something else out of some characters. `mode` is SQLite's: "ro", "rw", "rwc"."""
    uri = f"file:{quote(os.fsencode(file))}?mode={mode}"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(uri, uri=True, timeout=timeout or 5.0, check_same_thread=False)

    return "sqlite:///file.db", {"creator": connect}


def _tables(engine_of: str, options: dict[str, Any]) -> set[str] | None:
    """Optuna's tables in a database. None where they have to be made: not all are there, and nothing is kept
    in those that are (a kill may have ended the making of them)."""
    engine = create_engine(engine_of, **options)
    try:
        there = {name for name in inspect(engine).get_table_names() if name in TABLES}
        with engine.connect() as connection:
            rows = (connection.execute(select(1).select_from(table(name)).limit(1)) for name in sorted(there))
            kept = any(row.first() for row in rows)
    finally:
        engine.dispose()
    return there if kept or there == TABLES else None


optuna.logging.get_logger("optuna.storages._rdb.storage").setLevel(optuna.logging.ERROR)
