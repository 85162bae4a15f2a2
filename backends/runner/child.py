"""A child process with deadlines on its pipes; it can be asked where it hangs and killed with its group."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence

from ...profiles.system_trouble import MEMORY, refusal
from ...profiles.words import one_line, printable

_GONE_S = 10.0
SLOWEST_LINE = 2000.0
"""Bytes per second, the least that a deadline waits for."""
_LOOK_S, _LOG_BYTES, _KEPT_BYTES = 1.0, 16 * 2**20, 2**16


class ChildSilentError(Exception):
    """The deadline passed and the child neither read nor wrote."""


class ChildEndedError(Exception):
    """The child no longer reads."""


class _Patience:
    """Seconds that a child may still let this process wait. A time in which this process itself stood still
    (Ctrl-Z, a debugger) is none in which the child was silent."""

    def __init__(self, seconds: float) -> None:
        self._whole = self.left = seconds

    def moved(self, count: int) -> None:
        """So many bytes came or went: a line is not silent while it is no slower than `SLOWEST_LINE`."""
        self.left = min(self._whole, self.left + count / SLOWEST_LINE)

    def waited(self, poll: select.poll) -> bool:
        """Wait a moment for what is polled; whether it came."""
        moment, started = max(0.0, min(_LOOK_S, self.left)), time.monotonic()
        came = bool(poll.poll(moment * 1000))
        self.left -= min(moment, time.monotonic() - started)
        return came


class Child:
    """A process in a session of its own (Ctrl-C in the terminal does not reach it), its stderr in a file."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the child
        self._process = subprocess.Popen(
            list(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=dict(environment),
            start_new_session=True,
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._input, False)
        os.set_blocking(self._output, False)

    def reader(self, seconds: float, meanwhile: Callable[[], None] = lambda: None) -> Callable[[int], bytes]:
        """A function that reads up to n bytes (none at the end), with one deadline for all its calls. While
        it waits, `meanwhile` is called every second; what it raises ends the wait."""
        patience = _Patience(seconds)

        def read(size: int) -> bytes:
            while True:
                self._ready(self._output, select.POLLIN, patience, meanwhile)
                with contextlib.suppress(BlockingIOError):
                    data = os.read(self._output, min(size, 2**20))
                    patience.moved(len(data))
                    return data

        return read

    def writer(self, seconds: float) -> Callable[[bytes | memoryview], None]:
        """A function that writes all bytes it is given, with one deadline for all its calls."""
        patience = _Patience(seconds)

        def write(data: bytes | memoryview) -> None:
            rest = memoryview(data)
            while rest:
                self._ready(self._input, select.POLLOUT, patience)
                try:
                    count = os.write(self._input, rest)
                    patience.moved(count)
                    rest = rest[count:]
                except BlockingIOError:
                    continue
                except BrokenPipeError as error:
                    raise ChildEndedError from error

        return write

    def _ready(
        self,
        descriptor: int,
        event: int,
        patience: _Patience,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        poll = select.poll()
        poll.register(descriptor, event)
        while not patience.waited(poll):
            if patience.left <= 0:
                raise ChildSilentError
            self._shorten_log()
            meanwhile()
        self._shorten_log()

    def _shorten_log(self) -> None:
        """A child that prints without end must not fill the disk. Its place in the file is this one's."""
        file = self._errors.fileno()
        size = os.fstat(file).st_size
        if size > _LOG_BYTES:
            last = os.pread(file, _KEPT_BYTES, size - _KEPT_BYTES)
            os.ftruncate(file, 0)
            os.lseek(file, 0, os.SEEK_SET)
            os.write(file, last)

    def ask_where(self) -> None:
        """Let a hung runner write where it stands to its log, if it still can."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGUSR1)
            time.sleep(0.1)

    def wait(self, seconds: float) -> int | None:
        """Exit status (negative: the signal), or None if it has not ended by then."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """Kill the process and all that it started; safe to repeat."""
        # The group outlives its leader while one of its processes lives; without any it is gone already.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self.wait(_GONE_S)  # one that hangs in the kernel is left to it
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    def log(self, size: int) -> str:
        """The last `size` bytes of the child's standard error, printable."""
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - size))
        return printable(self._errors.read(size).decode(errors="replace"))


_SIGNALS: Mapping[int, str] = {
    signal.SIGSEGV: "segmentation fault",
    signal.SIGABRT: "aborted",
    signal.SIGKILL: "killed from outside, often for want of memory",
    signal.SIGBUS: "bus error",
    signal.SIGILL: "illegal instruction",
    signal.SIGFPE: "arithmetic error",
    signal.SIGXFSZ: "it wrote more than the limit on file sizes, `ulimit -f`",
    signal.SIGXCPU: "it reached the limit on processor time, `ulimit -t`",
}


def status_in_words(status: int | None, log: str, *, remote: bool = False) -> str:
    """How a child ended, by its exit status and its last words."""
    if status is None:
        return "closed its output and did not end"
    if remote and status - 128 in _SIGNALS:  # as the process that watches over a runner there tells it
        status = 128 - status
    if status < 0:
        return f"killed by signal {-status} ({_SIGNALS.get(-status, 'unexpected')})"
    fatal = [line for line in log.splitlines() if line.startswith("Fatal Python error")]
    if remote and status == LOST_LINE and not fatal:
        words = last_words(log).partition("\n")[0]
        return "lost: ssh gave the line up" + (f": {words}" if words else " (exit status 255)")
    return f"ended with exit status {status}" + (f": {fatal[-1]}" if fatal else "")


# ssh itself and login shells chat on standard error about what is no error.
_CHAT = re.compile(r"\*\* |Warning: |debug\d: |Connection to \S+ closed\.$")
_LAST_LINES = 8


def last_words(log: str) -> str:
    """What a child that ended said last: the last line is its reason, those before it follow."""
    lines = [line.strip() for line in log.splitlines() if line.strip() and not _CHAT.match(line.strip())]
    if not lines:
        return ""
    last, *before = (one_line(line, 300) for line in (lines[-1], *lines[-_LAST_LINES:-1]))
    return "\n".join([last, *(f"    before that: {line}" for line in before)])


LOST_LINE = 255
"""The exit status of ssh where the line was lost, or the far side was killed."""
_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGXFSZ, signal.SIGXCPU)  # the last two by `ulimit`
_KILLED = (*(-number for number in _OUTSIDE), *(128 + number for number in _OUTSIDE))


def lacked_memory(log: str) -> bool:
    """Whether a child's last words say that it got no memory."""
    return refusal(log) is MEMORY


def died_from_outside(status: int | None, log: str, *, remote: bool, limited: bool) -> bool:
    """Whether a child was ended by something other than its own doing: killed, cut off, or refused memory,
    files or threads by the system, though nobody here had limited it. `remote`: it ran behind ssh, where a
    crash of its own has last words."""
    if status is None or (limited and lacked_memory(log)):
        return False
    if remote and status == LOST_LINE:
        return "Fatal Python error" not in log
    return status in _KILLED or refusal(log) is not None
