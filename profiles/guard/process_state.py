"""What code of others may leave changed in this process, and putting it back: each piece that ours relies on.

Kept are the working directory, standard output and error (the streams and their descriptors), the import
path, signal handlers, filters that turn warnings into errors, and how numpy, torch and decimal reckon. Not
kept is what is theirs to set: the environment, threads, random generators (what draws here seeds its own).
"""

from __future__ import annotations

import contextlib
import decimal
import os
import signal
import sys
import threading
import warnings
from pathlib import Path
from typing import Any, TextIO

from .process_end import at_once

_OURS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGCHLD", "SIGPIPE")
    if hasattr(signal, name)
)
_OUT, _ERR = 1, 2
_copies: dict[int, int] = {}  # of descriptors 1 and 2, by which a closed one is opened again
_their_directory = ""  # where their code went: it works there, and ours does not ("": it stayed)


def forget_their_directory() -> None:
    """Other code is called from now on."""
    global _their_directory
    _their_directory = ""


class ProcessState:
    """The state as it is now. `brief` keeps what a single forward pass or metric may change and what costs
    nearly nothing to look at; the rest is then put back by the guard around it. Code that changed the working
    directory in an earlier call is there again, but for a block of ours that is `around` theirs."""

    def __init__(self, *, brief: bool = False, around: bool = False) -> None:
        self.brief, self.around = brief, around
        self._directory = _directory()
        if _their_directory and not around:
            _go_to(_their_directory)
        self._streams = sys.stdout, sys.stderr
        self._torch = _torch_state()
        if not brief:
            self._paths = sys.path, sys.path[:], sys.argv, sys.argv[:]
            self._descriptors = {number: _identity(number) for number in (_OUT, _ERR)}
            self._handlers = {number: signal.getsignal(number) for number in _OURS}
            self._errors = [found for found in warnings.filters if found[0] == "error"]
            self._reckoning = _numpy_state(), decimal.getcontext().copy(), sys.getrecursionlimit()
            self._device = _default_device()
            self._pid = os.getpid()
            _keep_copies(self._descriptors)

    def put_back(self) -> None:
        """Make it as it was, where it is not."""
        if not self.brief:
            if os.getpid() != self._pid:
                at_once(1)  # a process that their code forked off must not go on as this one
            self._put_back_paths()
            self._put_back_descriptors()
        self._put_back_directory()
        self._put_back_streams()
        _set_torch(self._torch)
        if not self.brief:
            self._put_back_handlers()
            self._put_back_reckoning()

    def _put_back_directory(self) -> None:
        global _their_directory
        now = _directory()
        if not self.around:
            _their_directory = "" if now == self._directory else now
        if self._directory and now != self._directory:
            _go_to(self._directory)

    def _put_back_paths(self) -> None:
        path, entries, argv, arguments = self._paths
        theirs = [entry for entry in sys.path if isinstance(entry, str) and entry not in entries]
        if sys.path is not path or [entry for entry in path if entry not in theirs] != entries:
            kept = [entry for entry in sys.path if entry in entries]
            # What they add stays where they put it; what they took away comes back.
            path[:] = sys.path if kept == entries else [*theirs, *entries]
            sys.path = path
        if sys.argv is not argv or argv != arguments:
            argv[:] = arguments
            sys.argv = argv

    def _put_back_descriptors(self) -> None:
        for number, was in self._descriptors.items():
            copy = _copies.get(number)
            if was is None or copy is None or _identity(number) == was or _identity(copy) != was:
                continue
            with contextlib.suppress(OSError):
                os.dup2(copy, number)

    def _put_back_streams(self) -> None:
        out, err = self._streams
        if sys.stdout is not out or _closed(out):
            sys.stdout = _opened_again(out, _OUT)
        if sys.stderr is not err or _closed(err):
            sys.stderr = _opened_again(err, _ERR)

    def _put_back_handlers(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number, handler in self._handlers.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)

    def _put_back_reckoning(self) -> None:
        numpy, context, depth = self._reckoning
        _set_numpy(numpy)
        if decimal.getcontext().prec != context.prec or decimal.getcontext().traps != context.traps:
            decimal.setcontext(context)
        if sys.getrecursionlimit() < depth:
            sys.setrecursionlimit(depth)
        for found in [one for one in warnings.filters if one[0] == "error" and one not in self._errors]:
            warnings.filters.remove(found)  # type: ignore[attr-defined]
        if _default_device() != self._device:
            _set_default_device(self._device)


def _directory() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - in each forward pass
    except OSError:  # it was removed
        return ""


def _go_to(directory: str) -> None:
    with contextlib.suppress(OSError):  # it is gone by now
        os.chdir(directory)


def _identity(descriptor: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _keep_copies(wanted: dict[int, tuple[int, int] | None]) -> None:
    for number, identity in wanted.items():
        copy = _copies.get(number)
        if identity is None or (copy is not None and _identity(copy) == identity):
            continue
        if copy is not None:
            with contextlib.suppress(OSError):
                os.close(copy)
        with contextlib.suppress(OSError):  # no descriptor is left: then it cannot be opened again
            _copies[number] = os.dup(number)


def _closed(stream: TextIO | None) -> bool:
    return bool(getattr(stream, "closed", False))


def _opened_again(stream: TextIO, descriptor: int) -> TextIO:
    if not _closed(stream):
        return stream
    try:
        return open(descriptor, "w", encoding="utf-8", errors="replace", buffering=1, closefd=False)
    except OSError:  # there is none: nothing can be said any more
        return Path(os.devnull).open("w", encoding="utf-8")


# Neither torch nor numpy is imported here: a study of an ONNX file needs no torch.


def _torch_state() -> tuple[Any, bool]:
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "is_grad_enabled"):
        return None, True  # as it will be once it is imported
    return torch.get_default_dtype(), torch.is_grad_enabled()


def _set_torch(wanted: tuple[Any, bool]) -> None:
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "set_grad_enabled"):
        return
    dtype = torch.float32 if wanted[0] is None else wanted[0]
    if torch.get_default_dtype() is not dtype:
        torch.set_default_dtype(dtype)
    if torch.is_grad_enabled() is not wanted[1]:
        torch.set_grad_enabled(wanted[1])


def _default_device() -> str:
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "get_default_device"):
        return "cpu"
    return str(torch.get_default_device())


def _set_default_device(name: str) -> None:
    sys.modules["torch"].set_default_device(None if name == "cpu" else name)


def _numpy_state() -> dict[str, Any] | None:
    numpy = sys.modules.get("numpy")
    return numpy.geterr() if numpy is not None and hasattr(numpy, "geterr") else None


def _set_numpy(wanted: dict[str, Any] | None) -> None:
    numpy = sys.modules.get("numpy")
    if wanted is not None and numpy is not None and numpy.geterr() != wanted:
        numpy.seterr(**wanted)
