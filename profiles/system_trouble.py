"""What the operating system refuses (files, memory, threads, space), in words: cause and remedy of each."""

from __future__ import annotations

import errno
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from .errors import UserError
from .words import one_line


@dataclass(frozen=True)
class Refusal:
    """What was refused, the limit on it by its name in `resource` where it has one, and what to do."""

    what: str
    remedy: str
    limit: str = ""
    by_ulimit: str = ""


_KEPT = "and run again: what was finished is kept"
FILES = Refusal(
    "this process may not open more files",
    f"raise the limit on open files (`ulimit -n 1024`) {_KEPT}",
    "RLIMIT_NOFILE",
    "ulimit -n",
)
MEMORY = Refusal(
    "there is no memory left",
    f"raise the limits on memory (`ulimit -v`, and those of a container), end other programs {_KEPT}",
    "RLIMIT_AS",
    "ulimit -v, in bytes",
)
THREADS = Refusal(
    "no further process or thread may be started",
    f"raise the limit on processes and threads (`ulimit -u`, and those of a container) {_KEPT}",
    "RLIMIT_NPROC",
    "ulimit -u",
)
_STACK = Refusal(
    "the stack is too small", f"raise its limit (`ulimit -s 8192`) {_KEPT}", "RLIMIT_STACK", "ulimit -s"
)
_SPACE = Refusal(
    "no space is left",
    f"free some space, or raise the quota or the limit on file sizes (`ulimit -f`) {_KEPT}",
    "RLIMIT_FSIZE",
    "ulimit -f",
)
_DISK = Refusal("the disk or its server fails", f"look at it and at the system's log {_KEPT}")
_PLACE = Refusal(
    "a file, folder or connection cannot be used", f"look at the place and at whose it is {_KEPT}"
)
_NESTED = Refusal("something is nested too deeply", "make it flatter")
_NAMES = Refusal(
    "a text cannot be written in the encoding of this system",
    "set the variable LC_ALL to C.UTF-8, or PYTHONUTF8 to 1",
)

_BY_NUMBER = {
    errno.EMFILE: FILES,
    errno.ENFILE: FILES,
    errno.ENOMEM: MEMORY,
    errno.EAGAIN: THREADS,
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _SPACE),
    **dict.fromkeys((errno.EIO, errno.ESTALE, errno.ENODEV, errno.ENXIO), _DISK),
}
# What libraries raise as errors of their own, and the linker and runtimes write: words are all they give.
_SAID = (
    (FILES, ("Too many open files",)),
    (
        MEMORY,
        (
            "bad_alloc",
            "annot allocate memory",
            "an't allocate memory",
            "failed to map segment",
            "MemoryError",
        ),
    ),
    (THREADS, ("can't start new thread", "pthread_create", "Thread creation failed")),
)


def refusal(error: BaseException | str) -> Refusal | None:
    """What the system refused, where that is what an error or a program's last words are about."""
    if isinstance(error, str):
        return next((found for found, words in _SAID if any(word in error for word in words)), None)
    if isinstance(error, MemoryError):
        return MEMORY
    if isinstance(error, RecursionError):
        return _NESTED
    if isinstance(error, UnicodeEncodeError):
        return _NAMES
    known = _BY_NUMBER.get(error.errno or 0) if isinstance(error, OSError) else None
    return known or refusal(_text(error))


def explained(error: BaseException) -> UserError | None:
    """One message where the system lies behind an error, or behind what it came from; None for all others."""
    for one in _chain(error):
        found = refusal(one)
        if found is not None:
            return _message(found, one)
    return _message(_PLACE, error) if isinstance(error, OSError) else None


def _message(found: Refusal, error: BaseException) -> UserError:
    place = getattr(error, "filename", None)
    said = one_line(_text(error) or type(error).__name__, 300)
    limit = _limit(found)
    return UserError(
        found.what,
        place=str(place) if place else "",
        found=said + (f"; the limit is {limit} ({found.by_ulimit})" if limit else ""),
        remedy=found.remedy,
    )


def _text(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    try:
        return str(error)
    except Exception:  # an object of others
        return ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    following: BaseException | None = error
    while following is not None and following not in seen:
        yield following
        seen.append(following)
        following = following.__cause__ or following.__context__


def _limit(found: Refusal) -> str:
    """The limit as it stands; nothing where there is none."""
    value = _soft(found.limit) if found.limit else None
    return "" if value is None else str(value)


def _soft(name: str) -> int | None:
    try:
        import resource
    except ImportError:
        return None
    soft, _ = resource.getrlimit(getattr(resource, name))
    return None if soft in (resource.RLIM_INFINITY, -1) else soft


LEAST_STACK = 2**20
"""Bytes: torch and OpenBLAS end with a segmentation fault on a stack of a quarter of that."""
LEAST_SPACE = 2**29
"""Bytes of address space that a search takes beyond what it has loaded; without, OpenBLAS waits for ever."""


def check_stack() -> None:
    """Refuse a stack on which libraries crash without a word.

    Raises:
        UserError: the limit on it is too low.
    """
    soft = _soft("RLIMIT_STACK")
    if soft is not None and soft < LEAST_STACK:
        raise UserError(
            _STACK.what,
            found=f"{soft // 1024} kB",
            accepted=f"{LEAST_STACK // 1024} kB or more",
            remedy=_STACK.remedy,
        )


LEAST_FILES, ENOUGH_FILES = 64, 1024
"""A search has so many files open at once, with a few runners (four each) and its database; and so many
are more than it ever has."""


def check_limits_of_a_search() -> None:
    """Refuse limits on this process in which a search would fail in its middle.

    Raises:
        UserError: too few files may be opened, or too little memory is left.
    """
    check_open_files()
    check_address_space()


def check_open_files(more: int = 0) -> None:
    """Let this process open as many files as a search takes, and so many more, where the system lets it.

    Raises:
        UserError: it does not; in the middle of a search, libraries would call files lost that are there.
    """
    soft, least = _soft("RLIMIT_NOFILE"), LEAST_FILES + more
    if soft is None or soft >= least:
        return
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    enough = max(ENOUGH_FILES, least)
    most = enough if hard == resource.RLIM_INFINITY else min(hard, enough)
    if most < least:
        raise UserError(
            "this process may open too few files to search",
            found=f"{most} ({FILES.by_ulimit})",
            accepted=f"{least} or more",
            remedy=FILES.remedy,
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def check_temporary_files() -> None:
    """Refuse a machine without a folder for temporary files: torch does not load, and does not say why.

    Raises:
        UserError: none can be written.
    """
    try:
        tempfile.gettempdir()
    except OSError as error:
        raise UserError(
            "there is no place for temporary files",
            found=one_line(_text(error), 300),
            remedy="set the variable TMPDIR to a folder that can be written and has space",
        ) from error


def check_address_space() -> None:
    """Refuse a limit on address space that is used up already: some libraries retry for ever.

    Raises:
        UserError: less than `LEAST_SPACE` can be had.
    """
    import mmap

    try:
        mmap.mmap(-1, LEAST_SPACE).close()
    except (OSError, MemoryError) as error:
        limit = _soft("RLIMIT_AS")
        raise UserError(
            "there is too little memory to search",
            found=f"{LEAST_SPACE // 10**6} MB more than the libraries take cannot be had"
            + (f"; the limit on address space is {limit // 10**6} MB (`ulimit -v`)" if limit else ""),
            remedy=MEMORY.remedy,
        ) from error


def threads_may_start() -> bool:
    """Whether a thread can be started. Where none can, OpenBLAS sends its own process what Ctrl-C sends."""
    import threading

    try:
        thread = threading.Thread(target=sys.getrefcount, args=(None,))
        thread.start()
    except RuntimeError:
        return False
    thread.join()
    return True


def while_loading(error: BaseException) -> bool:
    """Whether an error came up while a module or a library of it was loaded."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code.co_filename.startswith("<frozen importlib")
