"""A machine that measures and computes in turn: what computes pauses, as soon as it can, for what measures.

Two files beside those of the lease. Whoever computes (a step of a training, a compilation, a score) holds the
second shared for as long as that takes, and passes the turnstile, the first, on its way there. Whoever
measures shuts the turnstile and waits until the second is free: for one step at most, however many compute.
The kernel frees both however their holders end. What does not pause in time is measured beside, and told.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType

from .lease import holder
from .place import NoLeaseError, free_lock, lock, open_file, opened, path_of
from .stuck import all_stopped

TURNSTILE, BUSY = "turnstile", "busy"
LONGEST_S = 60.0
"""So long what measures waits for what computes; a step of a training takes seconds at most."""
_SUSPENDED = "work of another paretune on this machine went on beside it, which was suspended before"
_LATE = "work of another paretune on this machine went on beside it, which did not pause within {:g} s"
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _LOOK_S = 0.001, 0.02, 1.0

Meanwhile = Callable[[], None]


def _nothing() -> None:
    """Nobody wants to end a wait."""


class _Mine(threading.local):
    """How deep this thread is in its turn: whoever has one needs no other."""

    depth = 0


_mine = _Mine()


class Computing:
    """What computes here: `with at_work: ...` is one step, which begins when nobody measures. `meanwhile` is
    called in a wait, what it raises ends that; `waited` is told the seconds.

    A step costs microseconds where nobody measures, and waits for nobody where this machine has no place for
    the files. A thread that has its turn already, or measures, goes on within that.
    """

    def __init__(
        self, *, meanwhile: Meanwhile = _nothing, waited: Callable[[float], None] = lambda seconds: None
    ) -> None:
        self._meanwhile, self._waited = meanwhile, waited
        self._own = threading.local()

    def __call__(self) -> Computing:
        """Its next step."""
        return self

    def __enter__(self) -> None:
        if not _mine.depth:
            with suppress(NoLeaseError):
                self._begin()
        _mine.depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _mine.depth -= 1
        files: _Files | None = getattr(self._own, "files", None)
        if not _mine.depth and files is not None:
            free_lock(files.busy)

    def _begin(self) -> None:
        files: _Files | None = getattr(self._own, "files", None)
        if files is None or not files.stand:
            files = self._own.files = _Files()
        if not lock(files.turnstile, shared=True, wait=False):
            self._wait(files.turnstile)
        lock(files.busy, shared=True, wait=False)  # free, where the turnstile was passed
        free_lock(files.turnstile)

    def _wait(self, turnstile: int) -> None:
        started = looked = time.monotonic()
        try:
            for now in _moments():
                self._meanwhile()
                if lock(turnstile, shared=True, wait=False):
                    return
                if now - looked >= _LOOK_S:
                    looked = now
                    if _is_suspended():
                        return
        finally:
            self._waited(time.monotonic() - started)


class _Files:
    """Both files, open in this process."""

    def __init__(self) -> None:
        self.turnstile = self.busy = -1
        self.turnstile, self.busy = open_file(TURNSTILE), open_file(BUSY)
        self._pid, self._looked = os.getpid(), time.monotonic()

    @property
    def stand(self) -> bool:
        """Whether they are still the right ones: a fork has those of its parent, with their locks, and who
        cleans up may have removed them."""
        now = time.monotonic()
        if self._pid != os.getpid():
            return False
        if now - self._looked < _LOOK_S:
            return True
        self._looked = now
        return _stands(self.turnstile, TURNSTILE) and _stands(self.busy, BUSY)

    def __del__(self) -> None:
        for descriptor in (self.turnstile, self.busy):
            if descriptor >= 0:
                os.close(descriptor)


class Quiet:
    """The machine to oneself: from `begin`, which waits until all that computes has paused, to `end`, in the
    same thread."""

    def __init__(self, longest_s: float = LONGEST_S) -> None:
        self._longest_s = longest_s
        self._turnstile: int | None = None
        self._began = self._late = False
        self._suspended = ""

    def begin(self, meanwhile: Meanwhile = _nothing) -> None:
        """Wait, but not for ever. `meanwhile` is called every second; what it raises ends the wait."""
        self._began, self._late, self._suspended = True, False, ""
        _mine.depth += 1
        if _mine.depth > 1:
            return
        try:
            self._turnstile = open_file(TURNSTILE)
            started = time.monotonic()
            if self._taken(self._turnstile, TURNSTILE, started, meanwhile):
                with opened(BUSY) as busy:
                    self._taken(busy, BUSY, started, meanwhile)
        except NoLeaseError:
            return
        except BaseException:
            self.end()
            raise

    @property
    def beside(self) -> str:
        """What went on beside so far, in words; empty where nothing did."""
        if self._late:
            return _LATE.format(self._longest_s)
        return _SUSPENDED if self._suspended and not all_stopped(self._suspended) else ""

    def _taken(self, descriptor: int, name: str, started: float, meanwhile: Meanwhile) -> bool:
        looked = started
        for now in _moments():
            if lock(descriptor, wait=False):
                return True
            if now - started >= self._longest_s:
                self._late = True
                return False
            if now - looked >= _LOOK_S:
                looked = now
                meanwhile()
                if all_stopped(name):  # what stands still disturbs nobody
                    self._suspended = name
                    return name == TURNSTILE
        return False

    def end(self) -> None:
        """Let others compute. A second call does nothing."""
        if self._began:
            self._began, _mine.depth = False, _mine.depth - 1
        descriptor, self._turnstile = self._turnstile, None
        if descriptor is not None:
            free_lock(descriptor)  # also for what a fork has taken along
            os.close(descriptor)


def _stands(descriptor: int, name: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path_of(name).lstat())
    except OSError:
        return False


def _moments() -> Iterator[float]:
    """When to try again: soon at first, as most waits are short."""
    pause = _FIRST_PAUSE_S
    while True:
        yield time.monotonic()
        time.sleep(pause)
        pause = min(1.5 * pause, _LONGEST_PAUSE_S)


def _is_suspended() -> bool:
    """Whether whoever measures was stopped, by Ctrl-Z say: that may take hours."""
    with suppress(NoLeaseError):
        return bool((holder() or {}).get("stopped"))
    return False
