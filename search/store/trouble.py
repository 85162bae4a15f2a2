"""A store that cannot be written, or has no room: one message that names the cause and what to do."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...profiles.errors import StageError, UserError
from ...profiles.files import says_full, takes_more
from ..record.stops import Interrupted, TrainingStopped

_REMEDIES = {
    **dict.fromkeys(
        (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO),
        "something else stands where the store has a folder or a file: move it away, or name another "
        "directory for the store",
    ),
    errno.EXDEV: "the store's folders have to be on one disk: link the whole store, not parts of it",
    **dict.fromkeys(
        (errno.EMFILE, errno.ENFILE), "raise the limit on open files (`ulimit -n`) and run again"
    ),
}
_UNWRITABLE = "make the directory writable for this user, or name another one for the store"
_UNREADABLE = {
    **_REMEDIES,
    errno.EACCES: "make it readable for this user, or name another directory for the store",
    errno.EIO: "see to the disk and run again; where it stays so, remove the entry's folder: what was in it "
    "is made again",
}


@contextmanager
def writing(root: Path) -> Iterator[None]:
    """Turn whatever keeps the store at `root` from being written into one message."""
    try:
        yield
    except OSError as error:
        raise (_full(root, 0, error) if says_full(error) else _unwritable(root, error)) from error


@contextmanager
def reading(root: Path) -> Iterator[None]:
    """Turn what keeps this process from reading anything into one message."""
    try:
        yield
    except OSError as error:
        raise UserError(
            "the store cannot be read at the moment",
            place=str(root),
            found=str(error),
            remedy=_UNREADABLE.get(error.errno or 0, "run again: what was finished is kept"),
        ) from error


@contextmanager
def full_disk_explained(root: Path, aside: Path) -> Iterator[None]:
    """Turn any error that a full disk caused into one that says so.

    Libraries that write with native code report a full disk as errors of their own, so what can still be
    written decides where the error itself does not tell.
    """
    try:
        yield
    except (UserError, Interrupted, TrainingStopped):
        raise  # these say what they have to say, perhaps by an entry that was made for this one
    except Exception as error:
        if isinstance(error, StageError) and error.device:
            raise  # what it says of disks is said of that device's
        if says_full(error) and takes_more(root) and not takes_more(Path(tempfile.gettempdir())):
            raise _full(Path(tempfile.gettempdir()), 0, error) from error
        if not says_full(error) and takes_more(root) and not _at_limit(aside):
            if isinstance(error, OSError) and str(error.filename).startswith(str(root)):
                raise _unwritable(root, error) from error
            raise
        raise _full(root, _bytes_below(aside), error) from error


def _at_limit(aside: Path) -> bool:
    """Whether a file is as large as this process may make it."""
    most, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return most != resource.RLIM_INFINITY and any(size >= most for size in _sizes(aside))


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*"):
        with suppress(OSError):  # other processes work on the store at the same time
            yield path.stat().st_size if path.is_file() else 0


def _bytes_below(folder: Path) -> int:
    return sum(_sizes(folder))


def _full(place: Path, written: int, error: Exception) -> UserError:
    disk = os.statvfs(place)
    free_mb, written_mb = disk.f_bavail * disk.f_frsize / 1e6, written / 1e6
    names = ", and no room for another file" if disk.f_files and not disk.f_favail else ""
    return UserError(
        "no space left for the store",
        place=str(place),
        found=f"{free_mb:.1f} MB free{names} after {written_mb:.1f} MB of the entry were written ({error})",
        remedy="free some space (or raise the quota or file size limit) and run again: what was finished "
        "is kept, and nothing half-written was left",
    )


def _unwritable(root: Path, error: OSError) -> UserError:
    return UserError(
        "the store cannot be written",
        place=str(root),
        found=str(error),
        remedy=_REMEDIES.get(error.errno or 0, _UNWRITABLE),
    )


def removed(path: Path) -> None:
    """Remove what stands at a path, a link and not where it leads to, as far as that can be done."""
    if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114 - these never raise
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108
