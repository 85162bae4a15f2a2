"""On a device: a process that stays behind the runner's back and sees to its end.

It is the one that the login started. Where the runner crashes, it ends with an exit status that names the
signal, which `ssh` carries to the other side (of a process that a signal ended, `ssh` says nothing). Where
the line is gone, it ends a runner that cannot see that: one that hangs in a runtime's call, or was stopped.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from contextlib import suppress

GRACE_S = 5.0
"""So long a runner has to end by itself, and to clear up, once the line is gone."""


def supervised() -> None:
    """Go on as a child of this process, which waits for its end: only the child returns."""
    if not hasattr(os, "fork"):
        return
    wakes, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken)
    parent, child = os.getpid(), os.fork()
    if child:
        os._exit(_watched(child, wakes))
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.close(wakes)
    os.close(woken)
    os.setpgid(0, 0)  # helpers of a runtime end with its group
    _end_with(parent)


def _end_with(parent: int) -> None:
    """Linux kills this process where its parent is killed."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


def _watched(child: int, wakes: int) -> int:
    """The exit status that the child's end asks for, once it has ended. Until then this process sleeps: it
    must not take time from what is measured."""
    # The stream of answers is the child's alone: it ends when that ends.
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)
    awaited = select.poll()
    awaited.register(wakes, select.POLLIN)
    awaited.register(0, getattr(select, "POLLRDHUP", 0))  # a hang-up is reported without being asked for
    gone_at: float | None = None
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return 128 - code if code < 0 else code
        left = None if gone_at is None else max(0.0, gone_at + GRACE_S - time.monotonic())
        if left == 0.0:
            with suppress(OSError):
                os.killpg(child, signal.SIGKILL)
            left = GRACE_S
        came = [descriptor for descriptor, _ in awaited.poll(None if left is None else left * 1000)]
        if 0 in came:
            awaited.unregister(0)
            gone_at = time.monotonic()
        if wakes in came:
            os.read(wakes, 64)
