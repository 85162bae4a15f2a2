"""Who ends this process: nobody but ours, neither at once by `os._exit` nor never by a thread that stays."""

from __future__ import annotations

import contextlib
import os
import sys
import threading

from .user_place import place_of_frame

_PATIENCE_S = 1.0
_end = os._exit
_blocks: dict[int, int] = {}
"""Of code of others that run now, one within the other, by the thread that they run on."""
_process = 0


def begin_theirs() -> None:
    """Code of others runs from here on."""
    global _process
    thread = threading.get_ident()
    _blocks[thread], _process = _blocks.get(thread, 0) + 1, os.getpid()
    os._exit = _asked_for  # type: ignore[assignment]


def end_theirs() -> None:
    """It has ended."""
    thread = threading.get_ident()
    _blocks[thread] -= 1
    if not _blocks[thread]:
        del _blocks[thread]
    if not _blocks:
        os._exit = _end


def _asked_for(status: int) -> None:
    """What `os._exit` is to code of others; in a process that it forked, that is its own business, and so is
    it on threads without a line of theirs (whoever started this process may watch over it there)."""
    theirs = threading.get_ident() in _blocks or place_of_frame(sys._getframe(1))
    if not _blocks or os.getpid() != _process or not theirs:
        _end(status)
    raise SystemExit(f"os._exit({status})")


def at_once(status: int) -> None:
    """End this process as it is, whoever runs in it."""
    _end(status)


def leave(status: int) -> None:
    """End this process if code of others left threads running that it would wait for without end."""
    deadline_s = _PATIENCE_S
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(deadline_s)
            deadline_s = 0.0
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.current_thread()):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        _end(status)
