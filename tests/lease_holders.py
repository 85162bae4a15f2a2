"""Processes of their own that take a lease, or compute: `forked` runs a function in one."""

import contextlib
import multiprocessing
import time

from paretune.backends.lease.lease import NEXT, Lease
from paretune.backends.lease.place import free_lock, lock, opened
from paretune.backends.lease.quiet import Computing

_FORK = multiprocessing.get_context("fork")


@contextlib.contextmanager
def forked(function, *arguments):
    """A process that runs the function with one end of a pipe; the other end, and the process."""
    here, there = _FORK.Pipe()
    process = _FORK.Process(target=function, args=(there, *arguments), daemon=True)
    process.start()
    there.close()
    try:
        yield here, process
    finally:
        process.kill()
        process.join()
        here.close()


def hold(pipe, study="other"):
    """Take the lease, say its number, and keep it until the pipe says something."""
    lease = Lease()
    number = None
    while number is None:
        number = lease.take({"who": "anna@laptop", "study": study}, 10)
    pipe.send(number)
    pipe.recv()
    lease.give_back()
    pipe.send("given back")
    pipe.recv()


def stand_in_a_step(pipe):
    """Compute on this machine until the pipe says something."""
    with Computing()():
        pipe.send("stands")
        pipe.recv()
    pipe.send("done")
    pipe.recv()


def taken(lease, seconds=60.0, **owner):
    """The number that a lease gets within so many seconds, else None."""
    end = time.monotonic() + seconds
    number = None
    while number is None and time.monotonic() < end:
        number = lease.take(owner, end - time.monotonic())
    return number


def until_somebody_stands_in_line(seconds=60.0):
    """Until the next holder is known: whoever comes from now on stands behind it."""
    end = time.monotonic() + seconds
    with opened(NEXT) as line:
        while lock(line, wait=False):
            free_lock(line)
            assert time.monotonic() < end
            time.sleep(0.002)
