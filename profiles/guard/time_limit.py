"""How long code of others may run in this process: a limit that interrupts it, and one that ends the process.

On the main thread a timer of the system interrupts Python code, and whatever C code looks at signals (sleep,
locks, regular expressions). On another one, as in a worker of a cluster, a watching thread interrupts Python
code alone. Code that never comes back to Python cannot be interrupted: some time later the watching thread
says where it hangs and ends the process; where even that cannot run, because the interpreter itself is held,
`faulthandler` does it without. Everything that was told is in the study by then.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from .process_end import at_once

AGAIN = 1.0
"""After so many seconds it is interrupted once more: code may swallow whatever is raised in it."""
_BEAT = 1.0
_TURN_S, _LET_OTHERS_S = 0.1, 0.001
_ERR = 2
_HERE = str(Path(__file__).parent) + os.sep


class TookTooLong(BaseException):
    """Raised within code that has used up its time."""


class Call(NamedTuple):
    """Code that runs now: when its time is over, how long that is, and on which thread. `apart`: that is not
    the main one, which alone is told of signals."""

    ends: float
    seconds: float
    thread: int
    apart: bool
    told: Callable[[FrameType | None], str]


_seconds: float | None = None
_running: Call | None = None
_watcher: threading.Thread | None = None
_raising = threading.Lock()
"""Held while a call on another thread is interrupted, or ends."""


def set_time_limit(seconds: float | None) -> None:
    """How long each call of code of others may take from now on (None: as long as it likes)."""
    global _seconds
    _seconds = seconds


def time_limit() -> float | None:
    """What `set_time_limit` was last told."""
    return _seconds


def begin(told: Callable[[FrameType | None], str]) -> Call | None:
    """Begin the time of a call; None where there is no limit, or the call is within another one. `told` says
    what is to be said about it when it hangs in a frame."""
    global _running
    if _seconds is None or _running is not None:
        return None
    thread = threading.get_ident()
    apart = thread != threading.main_thread().ident
    if apart:
        _raise_in(thread, None)  # what that takes is loaded from here on
    watched = _watcher is not None and _watcher.is_alive()
    _running = Call(time.monotonic() + _seconds, _seconds, thread, apart, told)
    if not apart:
        if signal.getsignal(signal.SIGALRM) is not _interrupt:
            signal.signal(signal.SIGALRM, _interrupt)
        signal.setitimer(signal.ITIMER_REAL, _seconds, AGAIN)
    if not watched:
        _watch()  # which sees this call at once, whatever that does
    return _running


def end(call: Call | None) -> None:
    """End the time of what `begin` returned."""
    global _running
    if call is None:
        return
    if not call.apart:
        _running = None
        signal.setitimer(signal.ITIMER_REAL, 0)
        return
    while _running is call:
        try:  # no line of another file's outside of this: see `_within_the_guard`
            with _raising:
                _raise_in(call.thread, None)
                _running = None
        except TookTooLong:  # it came at this very moment
            continue


def end_of_thread() -> None:
    """End the call of this thread that is still timed, where there is one: an interruption that came late has
    reached the very end of it."""
    call = _running
    if call is not None and call.thread == threading.get_ident():
        end(call)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    call = _running
    if call is None or time.monotonic() < call.ends or _within_the_guard(frame):
        return
    raise TookTooLong


def _interrupt_apart(call: Call) -> None:
    """As `_interrupt`, from the watching thread. No other thread gets its turn between the look at where the
    call is and the interruption, so that it has not come any further by then."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    try:
        time.sleep(_LET_OTHERS_S)  # who waits for its turn from now on knows of it
        with _raising:
            if _running is call and not _within_the_guard(sys._current_frames().get(call.thread)):
                _raise_in(call.thread, TookTooLong)
    finally:
        sys.setswitchinterval(usual)


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Have an error raised there where the thread next comes back to Python; None: one that waits for that
    is taken back."""
    import ctypes  # runners do without

    what = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), what)


def _within_the_guard(frame: FrameType | None) -> bool:
    """The call has ended at this very moment, or not begun yet."""
    return frame is not None and frame.f_code.co_filename.startswith(_HERE)


def _grace(seconds: float) -> float:
    """Time between the interruption and the end of the process: for code that cleans up."""
    return min(30.0, max(1.0, seconds))


def _watch() -> None:
    global _watcher
    _watcher = threading.Thread(target=_keep_watch, name="time limit of user code", daemon=True)
    _watcher.start()


def _keep_watch() -> None:
    armed: Call | None = None
    interrupted = 0.0
    while True:
        call, now = _running, time.monotonic()
        if call is not armed:
            # Set once a call has lasted for a beat; the many short ones never cost that.
            faulthandler.cancel_dump_traceback_later()
            if call is not None:
                left = call.ends - now + 2 * _grace(call.seconds) + _BEAT
                faulthandler.dump_traceback_later(max(left, 0.1), exit=True, file=_ERR)
            armed, interrupted = call, 0.0
        if call is not None and now > call.ends:
            interrupted = interrupted or (now if call.apart else call.ends)
            if now > interrupted + _grace(call.seconds):
                _end_the_process(call)
            elif call.apart:
                _interrupt_apart(call)
        time.sleep(_BEAT)


def _end_the_process(call: Call) -> None:
    if _running is not call:
        return
    frame: Any = sys._current_frames().get(call.thread)
    text = f"\nerror: {call.told(frame)}\n"
    with contextlib.suppress(OSError):
        os.write(_ERR, text.encode("utf-8", errors="replace"))
    at_once(1)
