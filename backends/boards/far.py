"""A program of ours run by a board's own Python, and what it says: lines of JSON on its standard output."""

from __future__ import annotations

import json
import secrets
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from ...profiles.errors import UserError
from ...profiles.words import duration, one_line
from ..runner.child import (
    LOST_LINE,
    Child,
    ChildEndedError,
    ChildSilentError,
    last_words,
    status_in_words,
)
from ..runner.launch import SshLaunch
from ..runner.no_runner import here
from ..runner.reading import Reply, mapping
from ..runner.ssh_words import by_ssh
from .pythons import no_python

ANSWER_S = 120.0
_LOG_BYTES, _MOST_BYTES = 4096, 2**24

# Any Python runs it, and any shell passes it on: no quotes but double ones, no backslash, one line.
_BOOT = (
    'import sys;text=getattr(sys.stdin,"buffer",sys.stdin).read({size});'
    'sys.version_info<(3,8) and sys.exit("Python "+sys.version.split()[0]+" is too old");exec(text)'
)


def _started(launch: SshLaunch, command: str) -> Child:
    asked = launch.remote(command)
    try:
        return Child(asked, launch.environment())
    except OSError as error:
        raise here(launch, error.strerror or str(error), asked[0]) from error


class FarProgram:
    """A file of this room at work on the board, from `with` to the end of its block. It gets one request, and
    answers in lines, each within its time; what a login shell prints besides is passed over.

    Raises:
        UserError: the board is not reached, or the program ends or falls silent.
    """

    def __init__(self, launch: SshLaunch, name: str, request: Mapping[str, Any]) -> None:
        text = Path(__file__).with_name(f"{name}.py").read_bytes()
        self._launch, self._name, self._word = (
            launch,
            name.removeprefix("far_"),
            f"paretune-{secrets.token_hex(8)} ",
        )
        command = shlex.join(["exec", launch.python, "-c", _BOOT.format(size=len(text))])
        self._child = _started(launch, command)
        self._left, self._answered = bytearray(), False
        self._first = text + json.dumps({**request, "word": self._word}).encode() + b"\n"

    def __enter__(self) -> FarProgram:
        try:
            self.send(self._first)
        except BaseException:
            self._child.kill()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._child.kill()

    def send(self, data: bytes | memoryview, seconds: float = ANSWER_S) -> None:
        """Bytes to its standard input, all taken within so many seconds."""
        try:
            self._child.writer(seconds)(data)
        except ChildEndedError as error:
            raise self._ended() from error
        except ChildSilentError as error:
            raise self._silent(f"took nothing for {duration(seconds)}") from error

    def tell(self, what: Mapping[str, Any]) -> None:
        """One line of JSON to it."""
        self.send(json.dumps(what).encode() + b"\n")

    def said(self, seconds: float = ANSWER_S) -> Reply:
        """The next line that it says."""
        read = self._child.reader(seconds)
        try:
            while True:
                line = self._line(read)
                if line.startswith(self._word.encode()):
                    return self._reply(line[len(self._word) :])
        except ChildSilentError as error:
            raise self._silent(f"no answer within {duration(seconds)}") from error

    def _line(self, read: Callable[[int], bytes]) -> bytes:
        while b"\n" not in self._left:
            block = read(2**16)
            if not block or len(self._left) > _MOST_BYTES:
                raise self._ended()
            self._left += block
        line, _, rest = bytes(self._left).partition(b"\n")
        self._left = bytearray(rest)
        return line

    def _reply(self, text: bytes) -> Reply:
        self._answered = True
        reply = Reply(device=self._launch.device, operation=self._name, stage=self._name, body={})
        try:
            return replace(reply, body=mapping(json.loads(text), "it"))
        except (ValueError, RecursionError):
            raise reply.wrong(one_line(text.decode(errors="replace"), 200)) from None

    def _silent(self, why: str) -> UserError:
        log = self._child.log(_LOG_BYTES)
        words = last_words(log)
        return self._lost(f"{why}; its last words: {words}" if words else why, log)

    def _ended(self) -> UserError:
        status, log = self._child.wait(5.0), self._child.log(_LOG_BYTES)
        fatal = [line for line in log.splitlines() if line.startswith("Fatal Python error")]
        why = (fatal and fatal[-1]) or last_words(log) or status_in_words(status, log, remote=True)
        if self._answered or status == LOST_LINE:
            return self._lost(why, log)
        return no_python(self._launch, why)

    def _lost(self, why: str, log: str) -> UserError:
        device = self._launch.device
        if self._answered:
            return UserError(
                f"{device} was lost in the middle of it",
                found=why,
                remedy="run it again: it goes on from what has arrived, and until it has ended the board "
                "stays as it was",
            )
        return by_ssh(self._launch, log) or UserError(
            f"device {device} cannot be reached",
            found=why,
            remedy=f"see that `{self._launch.by_hand}` works without a password",
        )
