"""What is wrong with a storage that fails, by what happened: codes and facts, never the words of a driver."""

from __future__ import annotations

import os
import re
import socket
import sqlite3
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...profiles.errors import UserError
from ...profiles.system_trouble import refusal
from ...profiles.words import escaped
from .server import missing_package
from .url import StorageUrl

MEND_DAMAGE = (
    "a file that is lost or damaged is restored from a copy; or remove it (or give the study another name): "
    "a new run takes every finished stage from the store"
)
_KEPT = "and run again: what was finished is kept"


@dataclass(frozen=True)
class Cause:
    """What happened, where that is known, and what to do."""

    what: str
    remedy: str


_OF_SQLITE = {  # https://www.sqlite.org/rescode.html
    5: Cause("another process holds the file", "wait for it or end it, and try again"),
    6: Cause("another process holds the file", "wait for it or end it, and try again"),
    8: Cause("the file, or its directory, may not be written", f"make it writable, {_KEPT}"),
    10: Cause(
        "the system failed to read or write the file",
        f"look at the disk, its quota and `ulimit -f`, {_KEPT}",
    ),
    11: Cause("the file is damaged", MEND_DAMAGE),
    13: Cause("the disk is full", f"free some space, {_KEPT}"),
    23: Cause("the file may not be used", "give it to the user who runs this"),
    26: Cause("the file is damaged, or no database", MEND_DAMAGE),
}
_SCHEMA = Cause("what stands in it is not what Optuna wrote", MEND_DAMAGE)
_OF_POSTGRESQL = {  # https://www.postgresql.org/docs/current/errcodes-appendix.html
    "25": Cause("the server takes no writes", f"name the server that does, {_KEPT}"),
    "28": Cause(
        "the server refuses the user or the password", "check both; ~/.pgpass and PGPASSWORD count too"
    ),
    "3D": Cause("the server has no such database", "make it (`createdb NAME`), or name another"),
    "42501": Cause("the user may not do this", "grant it, or name another user"),
    "42": _SCHEMA,
    "53": Cause("the server has no room, memory or connections left", f"mend that, {_KEPT}"),
    "57": Cause("the server was stopped", f"start it, {_KEPT}"),
}
_REACH = "start the server, or check host and port of the URL"
_TRIED_S = 5.0
_OF_CONNECTIONS = {"OperationalError", "InterfaceError"}  # the names that PEP 249 gives them


def trouble(problem: str, url: StorageUrl, error: BaseException) -> UserError:
    """One message about a storage that failed. No password is in it, whatever the driver says."""
    if isinstance(error, UserError):
        return error
    root = _root(error)
    cause = _cause(url, root)
    said = url.without_secrets(escaped(next(iter(str(root).strip().splitlines()), type(root).__name__)))
    return UserError(
        problem, place=url.shown, found=": ".join(filter(None, (cause.what, said))), remedy=cause.remedy
    )


def _root(error: BaseException) -> BaseException:
    """What was raised first: by the driver, below SQLAlchemy and Optuna."""
    while True:
        below = getattr(error, "orig", None) or error.__cause__
        if not isinstance(below, BaseException):
            return error
        error = below


def _cause(url: StorageUrl, error: BaseException) -> Cause:
    if isinstance(error, ModuleNotFoundError) and error.name:
        other = " (or name an installed driver: postgresql+psycopg2, say)"
        return Cause("the driver is not installed", missing_package(error.name.partition(".")[0]) + other)
    if (
        isinstance(error, RuntimeError) and refusal(error) is None
    ):  # Optuna compares the versions of its tables
        remedy = "install the Optuna that wrote it, or upgrade a copy of it with Optuna's own command"
        return Cause("another version of Optuna wrote it", remedy)
    refused = refusal(error)
    if refused is not None:
        return Cause(refused.what, refused.remedy)
    file = url.file
    if file is None:
        return _of_server(url, error)
    return _of_file(file, error)


# -- a file ---------------------------------------------------------------------------------------


def _of_file(file: Path, error: BaseException) -> Cause:
    code: Any = getattr(error, "sqlite_errorcode", None)  # SQLite's own errors have one from Python 3.11 on
    known = _OF_SQLITE.get(code & 0xFF) if isinstance(code, int) else None
    if known is not None:
        return known
    if code == 14 or (sys.version_info < (3, 11) and isinstance(error, sqlite3.OperationalError)):
        return _unopened(file)
    return _SCHEMA


def _unopened(file: Path) -> Cause:
    """Why a file could not be opened, which SQLite does not tell."""
    place = file.parent
    if not place.is_dir():
        return Cause(f"there is no directory {escaped(str(place))}", "make it, or name another place")
    if file.exists() and not os.access(file, os.R_OK | os.W_OK):
        return Cause("the file may not be read and written", f"make it so, {_KEPT}")
    if not os.access(place, os.W_OK | os.X_OK):
        return Cause("its directory may not be written", f"make it writable, {_KEPT}")
    return Cause("the system did not open it", f"look at the place and at `ulimit -n`, {_KEPT}")


# -- a server -------------------------------------------------------------------------------------


def _of_server(url: StorageUrl, error: BaseException) -> Cause:
    code = getattr(error, "pgcode", None) or getattr(error, "sqlstate", None)
    if isinstance(code, str) and code:
        known = _OF_POSTGRESQL.get(code) or _OF_POSTGRESQL.get(code[:2])
        return known or Cause("the server failed", f"see its log, {_KEPT}")
    if type(error).__name__ not in _OF_CONNECTIONS:
        return Cause("the driver does not take this URL", "check its parts and its options")
    return _unreached(url) or Cause(
        "no connection came about", f"check host, user, database and password. {_password_from(url)}"
    )


def _unreached(url: StorageUrl) -> Cause | None:
    """Why no connection is to be had: a driver has no code for that, so it is tried out."""
    server = url.server
    host = server.host or server.query.get("host")
    port = server.port or server.query.get("port") or _PORTS.get(server.get_backend_name())
    if not isinstance(host, str) or not re.fullmatch(r"[\w.:-]+", host) or not str(port).isdigit():
        return None  # a socket, or several hosts: what the driver says must do
    try:
        socket.create_connection((host, int(str(port))), timeout=_TRIED_S).close()
    except socket.gaierror:
        return Cause(f"no such host: {host}", "check the host of the URL")
    except TimeoutError:
        return Cause(f"{host} does not answer on port {port}", _REACH)
    except OSError as error:
        return Cause(f"nothing listens at {host}, port {port} ({error.strerror or error})", _REACH)
    return None


_PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306, "mssql": 1433, "oracle": 1521}


def _password_from(url: StorageUrl) -> str:
    if url.has_password:
        return f"The password that was used is that of {url.shown}"
    return (
        "No password is in the URL: ${NAME} takes one from the environment, and PostgreSQL's driver looks at "
        "PGPASSWORD and ~/.pgpass"
    )
