"""Locks on files, which the kernel frees however their holder ends."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
_NOT_WRITTEN = (errno.EACCES, errno.EISDIR, errno.EROFS)


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock on a file, which is made where it is missing and stays. Yields False at once if `wait` is
    false and another holds it. Where the system or the disk knows no such locks, everyone holds it."""
    while True:
        # A link would make the file somewhere else, and a pipe would wait.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o666)
        try:
            free = _take(descriptor, wait)
            if _stands(descriptor, path):
                yield free
                return
        finally:
            os.close(descriptor)


def is_held(path: Path) -> bool | None:
    """Whether someone holds the lock on a file that is there; None where there are no such locks."""
    descriptor = open_to_lock(path)
    try:
        free = at_once(descriptor)
        return None if free is None else not free
    finally:
        os.close(descriptor)


def open_to_lock(path: Path) -> int:
    """A file or folder that is there, open so that its lock can be taken: on network disks, to be written."""
    flags = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        return os.open(path, os.O_RDWR | flags)
    except OSError as error:
        if error.errno not in _NOT_WRITTEN:
            raise
    return os.open(path, os.O_RDONLY | flags)


def _stands(descriptor: int, path: Path) -> bool:
    """Whether a path still leads to an open file: one that nobody held may have been removed meanwhile."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def at_once(descriptor: int) -> bool | None:
    """Take the lock on an open file, if it is free; None where there are no such locks."""
    try:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


def _take(descriptor: int, wait: bool) -> bool:
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
    return True
