"""Whether a study lies where it can be gone on with from any machine."""

from __future__ import annotations

import shlex
from pathlib import Path

from ...profiles.errors import UserError
from .server import POSTGRESQL, missing_package
from .url import StorageUrl

_URL = "postgresql+psycopg2://USER:${STUDIES_PASSWORD}@HOST/DATABASE"


def check_shared(url: StorageUrl, study: str) -> None:
    """For a study of that name on which other machines take part.

    Raises:
        UserError: it lies in a file of this machine, or on a server that does not keep two runs of different
            machines apart; or the driver of its database is not installed here.
    """
    file = url.file
    if file is not None:
        raise UserError(
            "a study on which several machines work has to lie on a database server: from a file of one "
            "machine no other can go on with it, and SQLite's locks do not hold on disks of a network",
            place="storage",
            found=url.shown,
            accepted=f"storage: {_URL}",
            remedy=f"make a database (`createdb DATABASE`), {missing_package('psycopg2')} where the study is "
            f"run, and name it in the study file{_move(file, study)}. `--workers N` on this machine alone "
            "goes with the file as it is",
        )
    if url.server.get_backend_name() != POSTGRESQL:
        raise UserError(
            "a study on which several machines work has to lie on PostgreSQL: on other servers nothing keeps "
            "a second run out, from another machine, that would hand out the same work",
            place="storage",
            found=url.shown,
            accepted=f"storage: {_URL}",
            remedy="name a database of PostgreSQL's. A run on one machine, also with `--workers N`, goes "
            "with this server",
        )
    dialect = url.server.get_dialect()
    try:
        dialect.import_dbapi()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        other = "" if missing == "psycopg2" else " (or name an installed one: postgresql+psycopg2, say)"
        raise UserError(
            "the driver of the study's database is not installed",
            place="storage",
            found=f"no module {missing}",
            remedy=missing_package(missing) + other,
        ) from None


def _move(file: Path, study: str) -> str:
    """How the trials of before come along; the new URL is in no list of processes."""
    if not file.is_file():
        return ""
    # Not by a URL: SQLAlchemy, Optuna and SQLite read something else out of some characters of its name.
    copy = (
        f"import optuna, os, sqlite3; here = {{'creator': lambda: sqlite3.connect({str(file)!r})}}; "
        f"optuna.copy_study(from_study_name={study!r}, "
        "from_storage=optuna.storages.RDBStorage('sqlite://', here), to_storage=os.environ['STUDIES'])"
    )
    return (
        ". What was told so far is copied, once no run is at work, by `export STUDIES=...` with the URL whole"
        f" and `python -c {shlex.quote(copy)}`"
    )
