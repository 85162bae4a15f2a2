"""The child process that holds one artifact: `python -m paretune.backends.runner`.

It speaks the frames of `frames.py` on its standard input and output, and needs numpy and the runtime alone.
A crash in here ends one evaluation and nothing else. See `client.py` for the other side.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import select
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from ...profiles.guard.process_end import at_once
from .frames import PREAMBLE, Message, ProtocolError, StreamEndedError, read_message, write_message
from .operations import Runner, error_reply


def serve(source: int, sink: int, runner: Runner) -> None:
    """Answer requests until the stream ends or asks to close."""
    _write_all(sink, PREAMBLE)
    served_by = os.getpid()
    while True:
        try:
            message = read_message(lambda size: os.read(source, min(size, 2**20)))
        except StreamEndedError:
            return
        if message.body.get("do") == "close":
            runner.close()
            runner.files.clear()
            write_message(lambda data: _write_all(sink, data), Message())
            return
        reply = runner.answer(message)
        if os.getpid() != served_by:
            at_once(1)  # what a backend forked is not to answer in its parent's place
        try:
            write_message(lambda data: _write_all(sink, data), reply)
        except ProtocolError as error:  # nothing of it was written
            write_message(lambda data: _write_all(sink, data), error_reply("error", cause=str(error), log=""))


def _write_all(sink: int, data: bytes | memoryview) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(sink, rest) :]


def _private_streams() -> tuple[int, int]:
    """Take the frames' streams away from everyone else: what a runtime prints goes to standard error."""
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return source, sink


def _end_with_parent(source: int, runner: Runner) -> None:
    """End this process when the other side of its input is gone, also in the middle of a runtime's call."""

    def wait() -> None:
        poll = select.poll()
        poll.register(
            source, getattr(select, "POLLRDHUP", 0)
        )  # a hang-up is reported without being asked for
        poll.poll()
        runner.files.clear()
        at_once(1)  # also where code of others runs, to which `os._exit` is another

    threading.Thread(target=wait, daemon=True, name="end-with-parent").start()


def _die_with_parent() -> None:
    """Linux kills this process with its parent, even where a call into a runtime holds the interpreter."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _limit_memory(limit: int) -> None:
    """Private writable memory, not address space: runtimes reserve far more addresses than they use."""
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def main(arguments: Sequence[str]) -> None:
    """Serve one client on standard input and output."""
    parser = argparse.ArgumentParser(prog="paretune.backends.runner")
    parser.add_argument("--memory-bytes", type=int, default=None, help="limit on private memory")
    parser.add_argument("--directory", default=None, help="where files that are sent are put")
    parser.add_argument("--die-with-parent", action="store_true", help="be killed when the parent ends")
    options = parser.parse_args(arguments)
    source, sink = _private_streams()
    if options.die_with_parent:
        _die_with_parent()
    faulthandler.enable()
    if hasattr(faulthandler, "register"):
        faulthandler.register(signal.SIGUSR1)  # the client asks where a hung runner stands
    if options.memory_bytes:
        _limit_memory(options.memory_bytes)
    # A backend may change the working directory.
    runner = Runner(str(Path(options.directory).resolve()) if options.directory else None)
    _end_with_parent(source, runner)
    try:
        serve(source, sink, runner)
    finally:
        runner.files.clear()


if __name__ == "__main__":
    main(sys.argv[1:])
