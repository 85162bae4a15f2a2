"""The right to measure on this device: a lock that the kernel frees however its holder ends.

Three files, the same for all users. Whoever holds the lock of the first has the lease; it says who that is,
and a number that no earlier holder had. Whoever waits stands first in line by the lock of the second: one who
gives back and takes again comes behind it. Each request that is served under a lease holds the third shared:
a new holder waits until what an earlier one left running has come to its end.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from .place import NoLeaseError, free_lock, lock, open_file, opened, path_of
from .said import SAID_BYTES, number_after, number_in, said_by, text_of

LEASE, NEXT, WORK = "", "next", "work"
UNTOLD = 0
"""The number of a lease where none could be written, for want of space: nothing is held against it."""


class Lease:
    """This process's lease. A thread waits for it in the kernel, so that whoever is next has it at once."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._owner: Mapping[str, str] | None = None
        self._taker: threading.Thread | None = None
        self._held: int | None = None
        self._number: int | None = None
        self._trouble: NoLeaseError | None = None

    def take(self, owner: Mapping[str, str], wait_s: float) -> int | None:
        """The lease's number, None where others still have it after `wait_s`: ask again, the place in the
        line is kept. `owner` is for those who wait.

        Raises:
            NoLeaseError: this device has no place for a lease.
        """
        with self._changed:
            self._owner = dict(owner)
            if self._number is None and self._taker is None:
                self._trouble = None
                self._taker = threading.Thread(target=self._wait, name="lease", daemon=True)
                self._taker.start()
            self._changed.wait_for(lambda: self._number is not None or self._trouble is not None, wait_s)
            if self._trouble is not None:
                raise self._trouble
            return self._number

    @property
    def wanted(self) -> bool:
        """Whether it is held or waited for."""
        return self._owner is not None

    @property
    def waits_for_work(self) -> bool:
        """Whether others have given it back, but something that one of them started still runs."""
        return self._held is not None and self._number is None

    def give_back(self) -> None:
        """Let others have it; who still waits no longer does. A second call does nothing."""
        with self._changed:
            self._owner = None
            self._let_go()

    def _let_go(self) -> None:
        if self._taker is not None:
            return  # it lets go as soon as it has it
        descriptor, self._held, self._number = self._held, None, None
        if descriptor is not None:
            free_lock(descriptor)  # also for what a fork has taken along
            os.close(descriptor)

    def _wait(self) -> None:
        number: int | None = None
        trouble: NoLeaseError | None = None
        try:
            with opened(NEXT) as first_in_line:
                lock(first_in_line)
                self._held = _locked_file()
            number = self._signed(self._held)
            with opened(WORK) as work:
                lock(work)
        except NoLeaseError as error:
            trouble = error
        with self._changed:
            self._taker, self._number, self._trouble = None, number, trouble
            if trouble is not None or self._owner is None:
                self._let_go()
            self._changed.notify_all()

    def _signed(self, descriptor: int) -> int:
        """Write who has the lease by now; the number that tells it from all earlier ones."""
        number = number_after(os.pread(descriptor, SAID_BYTES, 0))
        try:
            os.pwrite(descriptor, text_of(number, self._owner or {}), 0)  # in place: needs no new space
        except OSError:
            return UNTOLD
        return number


def _locked_file() -> int:
    """The lease's file with its lock, also where somebody removed it while it was waited for."""
    while True:
        descriptor = open_file(LEASE)
        lock(descriptor)
        with suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), os.lstat(path_of(LEASE))):
                return descriptor
        os.close(descriptor)


def holder() -> dict[str, Any] | None:
    """Who has the lease of this device, as far as that is told; None where it is free. What a holder that has
    ended left in the file means nothing.

    Raises:
        NoLeaseError: this device has no place for a lease.
    """
    with opened(NEXT), opened(WORK), opened(LEASE) as descriptor:
        if lock(descriptor, shared=True, wait=False):
            return None
        return said_by(os.pread(descriptor, SAID_BYTES, 0))


class LeaseLostError(Exception):
    """The lease of whoever asks has passed to somebody else."""


@contextmanager
def at_work(number: int) -> Iterator[None]:
    """Serve one request under the lease of that number: no other measures until the block has ended.

    Raises:
        LeaseLostError: somebody else has the lease by now.
    """
    try:
        with opened(WORK) as work:
            lock(work, shared=True)
            if number != UNTOLD:
                with opened(LEASE) as lease:
                    if number_in(os.pread(lease, SAID_BYTES, 0)) != number:
                        raise LeaseLostError
            yield
    except NoLeaseError as error:
        raise LeaseLostError from error
