"""Processes that were stopped while they hold files of the lease: they cannot see that their line is gone.

Nor can they let go, and no other study would ever measure.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from .lease import LEASE, WORK
from .place import NoLeaseError, opened, path_of
from .said import FOR_OTHERS, SAID_BYTES, is_stopped, said_by

_LOCKS = Path("/proc/locks")
_MOST_STEP_S = 5.0
"""Between two looks no more is counted: the one who looks may have stood still itself."""


class Stuck:
    """Ends, as far as this user may, what has been stopped for `silence_s` while it is waited for: runners at
    work, and those that hold the lease for somebody elsewhere. A study of this machine that was stopped
    by its user (Ctrl-Z) holds it itself, and is let be."""

    def __init__(self, silence_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._silence_s, self._clock = silence_s, clock
        self._stopped: dict[int, float] = {}
        self._looked: float | None = None

    def look(self) -> None:
        """Called again and again in a wait."""
        now = self._clock()
        passed = 0.0 if self._looked is None else min(_MOST_STEP_S, now - self._looked)
        self._looked = now
        still = {pid for pid in _holders() if is_stopped(pid)}
        self._stopped = {
            pid: self._stopped[pid] + passed if pid in self._stopped else 0.0 for pid in sorted(still)
        }
        for pid, seconds in self._stopped.items():
            if seconds >= self._silence_s:
                with suppress(OSError):  # another user's
                    os.kill(pid, signal.SIGKILL)


def all_stopped(name: str) -> bool:
    """Whether every process that has a lock on the file of that name was stopped, as far as that is known."""
    found = list(_locked_by(name))
    return bool(found) and all(map(is_stopped, found))


def _holders() -> Iterator[int]:
    """Runners with a lock on the files, by the kernel's own table; none where a system has no such table."""
    yield from _locked_by(WORK)
    with suppress(NoLeaseError), opened(LEASE) as descriptor:
        if said_by(os.pread(descriptor, SAID_BYTES, 0)).get(FOR_OTHERS):
            yield from _locked_by(LEASE)


def _locked_by(name: str) -> Iterator[int]:
    try:
        table, file = _LOCKS.read_text(), path_of(name).stat()
    except OSError:
        return
    place = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    for line in table.splitlines():
        fields = line.split()
        if len(fields) == 8 and fields[1] == "FLOCK" and fields[5] == place and fields[4].isdigit():
            yield int(fields[4])
