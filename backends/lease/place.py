"""Where the files of a lease lie: one place for all users of a device, opened with care."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

FOLDER_VARIABLE = "PARETUNE_LEASE_DIR"
_FOLDERS = ("/run/lock", "/tmp", "/data/local/tmp")  # noqa: S108 - the last one is Android's
_PREFIX = "paretune-lease"
_TRIES = 100
_ELSEWHERE = f"{FOLDER_VARIABLE} on that device names another folder"


class NoLeaseError(Exception):
    """There can be no lease on this device; says why, and what would help."""


def folder() -> Path:
    """The first usual folder that everybody may write to: the answer must be the same for all users, so that
    their own rights and variables like TMPDIR have no say in it."""
    given = os.environ.get(FOLDER_VARIABLE)
    if given:
        return Path(given)
    for path in map(Path, _FOLDERS):
        with suppress(OSError):
            if stat.S_ISDIR(path.stat().st_mode) and path.stat().st_mode & stat.S_IWOTH:
                return path
    return Path(tempfile.gettempdir())  # Termux: a device with one user


@contextmanager
def opened(name: str) -> Iterator[int]:
    """As `open_file`, for the length of a block."""
    descriptor = open_file(name)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_file(name: str) -> int:
    """A descriptor of the lease's file of that name (empty: the lease itself), made where it is missing.

    Raises:
        NoLeaseError: it cannot be made or opened, or something else is there.
    """
    path = path_of(name)
    try:
        descriptor = _made_or_opened(path)
    except OSError as error:
        raise NoLeaseError(_refused(path, error)) from error
    found = os.fstat(descriptor)
    # What lies in a folder for everybody may be a second name of a file that we can write and others cannot.
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(descriptor)
        raise NoLeaseError(f"{path} is no file of its own; remove it")
    return descriptor


def _made_or_opened(path: Path) -> int:
    """Made only where nothing is there: Linux refuses O_CREAT for a file of another user in such a folder.
    Neither links are followed nor does a pipe make us wait."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    for _ in range(_TRIES):  # others make and remove it as well
        with suppress(FileNotFoundError):
            return os.open(path, flags)
        with suppress(FileExistsError):
            descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o666)
            with suppress(OSError):
                os.fchmod(descriptor, 0o666)  # whatever the umask
            return descriptor
    raise OSError(errno.EAGAIN, "it comes and goes")


def lock(descriptor: int, *, shared: bool = False, wait: bool = True) -> bool:
    """Lock a file, with others or alone; False where others have it and it was not waited for.

    Raises:
        NoLeaseError: its file system has no locks, or this system.
    """
    if fcntl is None:
        raise NoLeaseError("this system has no locks that end with their process")
    how = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        return False
    except OSError as error:
        why = error.strerror or str(error)
        raise NoLeaseError(f"files in {folder()} cannot be locked ({why}); {_ELSEWHERE}") from error
    return True


def free_lock(descriptor: int) -> None:
    """Give a lock back before its file is closed."""
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def path_of(name: str) -> Path:
    """The path of the lease's file of that name.

    Raises:
        NoLeaseError: the folder that is named would be another one for each process.
    """
    if not folder().is_absolute():
        raise NoLeaseError(f"{FOLDER_VARIABLE} is {str(folder())!r}, and has to be an absolute path")
    return folder() / (f"{_PREFIX}.{name}" if name else _PREFIX)


def _refused(path: Path, error: OSError) -> str:
    why = error.strerror or str(error)
    if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
        return f"{path} is no file ({why}); remove it"
    if error.errno == errno.EACCES and path.exists():
        return f"{path} may not be written ({why}); let its owner remove it"
    return f"{path} cannot be made ({why}); {_ELSEWHERE}"
