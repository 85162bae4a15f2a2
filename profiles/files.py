"""Files that are there whole or not at all, and files that are read without a wait."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO

from .errors import UserError
from .locks import at_once, open_to_lock
from .system_trouble import refusal


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file to write to, which takes the place of `path` once the block has ended well."""
    remove_left(path.parent, path.name)
    while True:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        if _kept(descriptor, name):
            break
        os.close(descriptor)
    aside = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            umask = os.umask(0)
            os.umask(umask)
            aside.chmod(0o666 & ~umask)
            aside.replace(path)  # while it is locked
            sync(path.parent)
    finally:
        aside.unlink(missing_ok=True)  # a full disk must not be made fuller


def is_file(path: Path) -> bool:
    """Whether a regular file is there, or a link to one.

    Raises:
        UserError: nobody can tell (a name that is too long, a directory that may not be searched).
    """
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        refused = refusal(error)
        remedy = refused.remedy if refused else ""
        raise UserError(f"this path cannot be followed ({reason})", place=str(path), remedy=remedy) from None


@contextmanager
def folder_aside(parent: Path, name: str) -> Iterator[Path]:
    """A new folder in `parent` for what will be called `name`; what is left in it at the end goes."""
    remove_left(parent, name)
    while True:
        aside = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=parent))
        descriptor = os.open(aside, os.O_RDONLY)
        if _kept(descriptor, aside):
            break
        os.close(descriptor)
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        os.close(descriptor)


def _kept(descriptor: int, name: str | Path) -> bool:
    """Lock what was just made aside; False where another process took it for a leftover before that."""
    return at_once(descriptor) is not False and os.path.lexists(name)


def remove_left(parent: Path, name: str) -> None:
    """Remove what killed processes made aside for `name`: a maker holds a lock on it as long as it lives."""
    left = re.compile(rf"\.{re.escape(name)}\.[a-z0-9_]{{8}}")
    with suppress(OSError):
        for path in [path for path in parent.iterdir() if left.fullmatch(path.name)]:
            with suppress(OSError):
                _remove_unlocked(path)


def _remove_unlocked(path: Path) -> None:
    descriptor = open_to_lock(path)
    try:
        mode = os.fstat(descriptor).st_mode
        if not at_once(descriptor):
            return
        if stat.S_ISDIR(mode):
            shutil.rmtree(path, ignore_errors=True)
        elif stat.S_ISREG(mode):
            path.unlink()
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Have all below a folder, and the folder itself, on the disk: a power cut leaves nothing of it out."""
    # All at once: the disk then writes its journal once, and not once for each file.
    paths = [*folder.rglob("*"), folder]
    from concurrent.futures import ThreadPoolExecutor  # every runner loads this module, and few sync files

    with ThreadPoolExecutor(min(len(paths), _SYNCED_AT_ONCE)) as pool:
        list(pool.map(sync, paths))


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are missing, so that a power cut does not take them away
    with what was synced in them."""
    made = [one for one in (path, *path.parents) if not os.path.lexists(one)]
    path.mkdir(parents=True, exist_ok=True)
    for one in made:
        sync(one.parent)


def sync(path: Path) -> None:
    """Have a file's content, or a folder's list of names, on the disk; of a folder as far as that can be."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if not path.is_dir() or error.errno not in _NO_SYNC:
            raise


def write_whole(path: Path, text: str) -> None:
    """Write a text. Logs may hold halves of characters, which UTF-8 has no bytes for: they become "?"."""
    write_all_whole({path: text})


def write_all_whole(texts: Mapping[Path, str]) -> None:
    """Write texts that belong together: all of them or, where one cannot be written, none. The first of them
    takes its place last: a kill before that leaves the one that stood there."""
    if taken := [path for path in texts if path.is_dir()]:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(taken[0]))
    with ExitStack() as stack:
        for path, text in texts.items():
            file = stack.enter_context(whole_file(path))
            file.write(text.encode("utf-8", errors="replace"))
            file.flush()  # before the first of them takes its place
            os.fsync(file.fileno())


def open_regular(path: Path) -> IO[bytes]:
    """A regular file, opened to be read. What else stands there (a pipe, a device, a folder) is an OSError at
    once, and no wait."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # a name that no file can have
        raise OSError(errno.EINVAL, str(error), str(path)) from error
    kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
    if kind == stat.S_IFREG:
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise OSError(errno.EINVAL, f"{_KINDS.get(kind, 'something else')}, no regular file", str(path))


def head_of(path: Path, count: int = 512) -> bytes:
    """The first bytes of a regular file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with open_regular(path) as file:
            return file.read(count)
    except OSError as error:
        raise UserError(
            "the file cannot be read", place=str(path), found=error.strerror or str(error)
        ) from error


def sha256_of(file: IO[bytes]) -> str:
    """SHA-256 (64 hex digits) of an open file from where it stands to its end."""
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def file_inside(folder: Path, name: str) -> Path:
    """A regular file of a folder by its name there ("part/file"). OSError where there is none, and where the
    name leads out of the folder: by itself ("../file", "/file"), or by a symbolic link on the way."""
    path = folder / name
    try:
        inside = Path(os.path.realpath(path, strict=True)).is_relative_to(os.path.realpath(folder))
    except ValueError as error:  # a name that no file can have
        raise OSError(errno.EINVAL, str(error), name) from error
    if not inside or name.startswith("/"):
        raise OSError(errno.EPERM, "it leads out of its folder", name)
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "no regular file", name)
    return path


def takes_more(folder: Path) -> bool:
    """Whether something can still be written there; quotas show in no other way."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            return file.write(bytes(_PROBE_BYTES)) == _PROBE_BYTES
    except OSError as error:
        return not says_full(error)


_KINDS = {
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}
_PROBE_BYTES = 65_536
_SYNCED_AT_ONCE = 8
_NO_SYNC = (errno.EACCES, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
"""Of a folder that may not be read, and of disks that sync no folders."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Numbers of errors: a disk, a quota or a file may not grow."""
_FULL_TEXTS = (
    *map(os.strerror, FULL),
    "database or disk is full",  # SQLite
)


def says_full(error: BaseException | None) -> bool:
    """Whether an error, or one that it came of, says that a disk or quota is full or a file too large. Native
    libraries say so in texts alone."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        told = f"{error} {getattr(error, 'log', '')}"  # the last words of another process
        if any(text in told for text in _FULL_TEXTS):
            return True
        error = error.__cause__ or error.__context__
    return False
