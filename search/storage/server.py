"""A database server as a storage: its URL read by SQLAlchemy, and what a connection to it is made with."""

from __future__ import annotations

import os
import socket
from typing import Any

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from ...profiles.errors import UserError

POSTGRESQL = "postgresql"
"""The make of server on which runs of several machines are kept apart, and that is waited for."""
CONNECT_S = 10
"""For how long a server that does not answer is waited for."""
_SPELLED = {"postgres": "postgresql", "psql": "postgresql", "mariadb+pymysql": "mysql+pymysql"}
_TIMES_OUT = {  # driver -> its name for the seconds that connecting may take
    "psycopg2": "connect_timeout", "psycopg": "connect_timeout", "psycopg2cffi": "connect_timeout",
    "pg8000": "timeout", "pymysql": "connect_timeout", "mysqldb": "connect_timeout",
    "mariadbconnector": "connect_timeout", "mysqlconnector": "connection_timeout",
}  # fmt: skip
_PACKAGES = {
    "psycopg2": "'paretune[postgres]'", "psycopg": "'psycopg[binary]'", "MySQLdb": "mysqlclient",
    "pymysql": "PyMySQL", "mysql": "mysql-connector-python",
}  # fmt: skip


def server_url(text: str, shown: str) -> URL:
    """SQLAlchemy's URL.

    Raises:
        UserError: the text is none, or names a kind of database that SQLAlchemy does not know.
    """
    scheme = text.partition("://")[0].lower()
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # their texts have what stands there, a password may be in it
        raise UserError(
            "this URL cannot be read: its port is no number, or a part of it is not where it belongs",
            found=shown,
            accepted="DIALECT+DRIVER://USER:PASSWORD@HOST:PORT/DATABASE; in user and password, : is written "
            "%3A, / %2F and @ %40",
        ) from None
    if "@" in (url.host or ""):
        raise UserError("an @ in a user's name or password is written %40", found=shown)
    url = url.set(drivername=scheme)
    try:
        asynchronous = url.get_dialect().is_async
    except NoSuchModuleError:
        near = _SPELLED.get(scheme)
        raise UserError(
            f"SQLAlchemy knows no database {scheme!r}",
            found=shown,
            accepted="sqlite, postgresql+psycopg2, mysql+pymysql and what SQLAlchemy's dialects add",
            remedy=f"write {near}" if near else "install the package that brings this dialect",
        ) from None
    if asynchronous:
        raise UserError(
            f"the driver of {scheme} is asynchronous, which Optuna's storage is not made for",
            found=shown,
            remedy="name another one, say postgresql+psycopg2",
        )
    return url


def engine_options(url: URL) -> dict[str, Any]:
    """What an engine is made with beside the URL: connecting ends, a line that is dead is noticed and
    replaced, and the server's list of connections says whose each is."""
    driver = url.get_driver_name()
    name = _TIMES_OUT.get(driver)
    options: dict[str, Any] = {} if name is None or name in url.query else {name: CONNECT_S}
    if driver in ("psycopg2", "psycopg"):
        alive = {"keepalives_idle": 60, "keepalives_interval": 15, "keepalives_count": 4}
        of_libpq = {**alive, "tcp_user_timeout": 120_000, "fallback_application_name": _program()}
        options |= {key: value for key, value in of_libpq.items() if key not in url.query}
    return {"pool_pre_ping": True, "connect_args": options}


def _program() -> str:
    """How this process is told apart from others by whoever looks at the server."""
    return f"paretune on {socket.gethostname()[:30]}, process {os.getpid()}"


def missing_package(module: str) -> str:
    """How to install the package that a driver is in."""
    return f"pip install {_PACKAGES.get(module, module)}"
