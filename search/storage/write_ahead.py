"""SQLite's write-ahead log: while a study runs, a commit waits for the disk once, and not four times.

Each commit is synced, so that a power cut loses no trial that was told (`synchronous=NORMAL` would lose some,
for milliseconds where a trial takes seconds). Until the end of the run, what was written last stands in a
second file beside the first (`-wal`). At the end SQLite merges it, and the file leaves this mode: in it, even
readers need to write beside the file. After a kill, whoever opens the file next merges it.
https://www.sqlite.org/wal.html
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

import psutil
from optuna.storages import RDBStorage
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from ...profiles.files import open_regular

# It needs memory shared through a file, which file systems of a network do not give.
_LOCAL = {
    "apfs", "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "hfs", "jfs", "overlay", "tmpfs", "xfs",
    "zfs",
}  # fmt: skip
_VERSIONS = slice(18, 20)  # of the file's header: 2 where it is in this mode
_PATIENCE_S = 2.0


def begin(storage: RDBStorage, file: Path) -> None:
    """Write ahead from now on, where the place of the file allows that."""
    if _file_system(file) not in _LOCAL:
        return
    mode = ""
    with suppress(OperationalError), storage.engine.connect() as connection:  # else it goes on as it was
        mode = str(connection.exec_driver_sql("PRAGMA journal_mode=WAL").scalar())
    if mode == "wal":
        storage.engine.dispose()  # so that every connection is a new one
        event.listen(storage.engine, "connect", _sync_each_commit)


def _sync_each_commit(connection: sqlite3.Connection, _: object) -> None:
    connection.execute("PRAGMA synchronous=FULL").close()  # some builds have another default here


def end(file: Path) -> None:
    """Leave the mode; what stands beside is merged. A reader at this moment prevents it; nothing is lost."""
    if not in_use(file):
        return
    with suppress(sqlite3.Error), closing(sqlite3.connect(file, timeout=_PATIENCE_S)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE").fetchall()


def in_use(file: Path) -> bool:
    """Whether the file is one that is written ahead; False where there is none."""
    with suppress(OSError), open_regular(file) as opened:
        return opened.read(20)[_VERSIONS] == b"\x02\x02"
    return False


def log_of(file: Path) -> Path | None:
    """The log beside the file; None where it has none or an empty one."""
    log = file.with_name(file.name + "-wal")
    return log if log.is_file() and log.stat().st_size > 0 else None


def _file_system(file: Path) -> str:
    place = file.absolute().parent.resolve()
    mounts = {mount.mountpoint: mount.fstype for mount in psutil.disk_partitions(all=True)}
    return next((mounts[str(p)] for p in (place, *place.parents) if str(p) in mounts), "")


def writable(file: Path) -> bool:
    """Whether this process may write the file and beside it."""
    return os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)
