"""One run at a time on a study that lies on a PostgreSQL server, wherever the runs are.

The lock is one of the server's own, on a connection that is used for nothing else. The server frees it when
that connection ends: at once where its process was killed, and after a minute where its machine is gone.
https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, TextClause, create_engine, event, text

from ...profiles.errors import UserError
from ...profiles.words import escaped
from .lost import ServerLostError, tell_losses
from .server import POSTGRESQL, engine_options
from .url import StorageUrl

_ALIVE = text(
    "SELECT set_config('tcp_keepalives_idle', '30', false),"
    " set_config('tcp_keepalives_interval', '10', false), set_config('tcp_keepalives_count', '3', false)"
)
_SCHEMA = text(
    "SELECT coalesce((SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE c.oid = to_regclass('studies')), current_schema())"
)
_TAKE = text("SELECT pg_backend_pid(), current_setting('application_name'), pg_try_advisory_lock(:key)")
_BACKEND = text("SELECT pg_backend_pid()")
_HOLDER = text(
    "SELECT a.pid, a.application_name, host(a.client_addr),"
    " to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI')"
    " FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid JOIN pg_database d ON d.oid = l.database"
    " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND d.datname = current_database()"
    " AND ((l.classid::bigint << 32) | l.objid::bigint) = :key"
)


def notice_the_dead(engine: Engine) -> None:
    """Have the server end a connection of this engine whose other side is gone, a minute after it is."""
    event.listen(engine, "connect", _set_alive)


def _set_alive(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    cursor.execute(_ALIVE.text)
    cursor.close()
    connection.commit()


class DriverLock:
    """The lock on one study, by its name, within a schema of a database of a PostgreSQL server: the one that
    Optuna's tables are in, or would be made in."""

    def __init__(self, url: StorageUrl, study: str) -> None:
        self._url, self._study, self._key = url, study, 0
        options = {**engine_options(url.server), "pool_pre_ping": False}
        self._engine = create_engine(url.server, poolclass=NullPool, isolation_level="AUTOCOMMIT", **options)
        tell_losses(self._engine)
        notice_the_dead(self._engine)
        self._connection: Connection | None = None
        self._backend, self._name = 0, ""

    def take(self) -> None:
        """Take the lock.

        Raises:
            UserError: another run holds it.
            ServerLostError: the server does not answer.
        """
        former = (self._backend, self._name)
        self.release()
        self._connection = self._engine.connect()
        (schema,) = self._ask(_SCHEMA)
        digest = hashlib.sha256(f"paretune study {self._study} in {schema}".encode()).digest()
        self._key = int.from_bytes(digest[:8], "big", signed=True)
        backend, name, free = self._ask(_TAKE)
        if free:
            self._backend, self._name = backend, name
            return
        holder = self._ask(_HOLDER)
        self.release()
        if holder is not None and (holder[0], holder[1]) == former:
            raise ServerLostError("the server has not noticed yet that the line was lost")
        raise UserError(
            "this study is being run by another process",
            place=self._url.shown,
            found=_told(holder),
            remedy="wait for it, or stop it with Ctrl-C: everything it finished is kept. Where its machine "
            "is gone, the server notices that within two minutes",
        )

    def check(self) -> None:
        """Find the lock held still.

        Raises:
            UserError: nobody could hold it.
            ServerLostError: the connection that held it is gone.
        """
        (backend,) = self._ask(_BACKEND)
        if backend != self._backend:
            raise UserError(
                "the study's database is reached by way of a pooler that hands out another connection for "
                "each transaction, on which no lock can be held",
                place=self._url.shown,
                remedy="name the server itself, or have the pooler keep a connection for a session",
            )

    def _ask(self, question: TextClause) -> Any:
        """One row. A connection that is lost takes the lock with it."""
        if self._connection is None:
            raise ServerLostError("the line that held the study's lock is gone")
        try:
            return self._connection.execute(question, {"key": self._key}).first()
        except ServerLostError:
            self.release()
            raise

    def hold(self) -> None:
        """Take the lock, unless it is held still; see `take` and `check`."""
        try:
            self.check()
        except ServerLostError:
            self.take()

    def release(self) -> None:
        """Let another run have the study."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(ServerLostError):
                connection.close()


@contextmanager
def only_driver(url: StorageUrl, study: str) -> Iterator[DriverLock | None]:
    """Hold the lock on a study, where it lies on a PostgreSQL server; None elsewhere.

    Raises:
        UserError: another run holds it.
        ServerLostError: the server does not answer.
    """
    if url.file is not None or url.server.get_backend_name() != POSTGRESQL:
        yield None
        return
    lock = DriverLock(url, study)
    try:
        lock.take()
        yield lock
    finally:
        lock.release()


def _told(holder: Any) -> str:
    if holder is None:
        return "it has ended at this moment"
    _, name, address, since = holder
    return escaped(f"{name or 'a process'} from {address or 'the machine of the server'}, since {since} UTC")
