"""Starts a runner and waits for its first word; says in one error why none answers."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ...profiles.errors import StageError
from ...profiles.system_trouble import explained, refusal
from ...profiles.words import one_line, printable
from . import no_runner
from .boot import STARTS, TROUBLE
from .child import Child, ChildEndedError, ChildSilentError, died_from_outside, last_words, status_in_words
from .frames import PREAMBLE, ProtocolError
from .launch import Launch
from .replies import LOG_BYTES, over_limit
from .trouble import Trouble, UnreachableError

_TALK_BYTES = 2**16  # of a login shell, before the runner's first frame
_OTHER_VERSION = re.compile(re.sub(rb"\d+\n$", rb"(\\d+)\\n$", PREAMBLE))
_PAUSES_S = (1.0, 3.0)
Meanwhile = Callable[[], None]


def start(
    launch: Launch, open_s: float, memory_bytes: int | None, meanwhile: Meanwhile = lambda: None
) -> Child:
    """A runner that has said its first word. `meanwhile` is called every second; what it raises ends this.

    Raises:
        UnreachableError: a device that is not this machine does not answer, or not as a runner does.
        StageError: the runner on this machine did not start.
    """
    try:
        return _started(launch, open_s, memory_bytes, meanwhile)
    except UnreachableError as error:
        if error.trouble is not Trouble.TURNED_AWAY:
            raise
    # An sshd at its limit on logins lets some of them go: a moment later it has room again.
    time.sleep(random.uniform(*_PAUSES_S))
    return _started(launch, open_s, memory_bytes, meanwhile)


def _started(launch: Launch, open_s: float, memory_bytes: int | None, meanwhile: Meanwhile) -> Child:
    arguments = []
    if memory_bytes is not None:
        arguments += ["--memory-bytes", str(memory_bytes)]
    # The kernel's signal comes when the *thread* that started the child ends: only the main one is safe.
    if launch.shares_files and threading.current_thread() is threading.main_thread():
        arguments += ["--die-with-parent"]
    command = launch.command(arguments)
    try:
        child = Child(command, launch.environment())
    except OSError as error:
        refused = explained(error) if refusal(error) else None
        why = f"{refused.problem} ({refused.found})" if refused else str(error)
        if launch.shares_files:
            raise _not_started(memory_bytes, why, outside=refused is not None) from error
        raise no_runner.here(launch, why, command[0]) from error
    heard = _Heard()
    try:
        heard.skip_to_preamble(child.reader(open_s, meanwhile))
    except (ChildSilentError, ProtocolError, ChildEndedError) as error:
        raise _no_runner(launch, child, error, heard, open_s, memory_bytes) from error
    except BaseException:
        child.kill()
        raise
    return child


def _no_runner(
    launch: Launch, child: Child, error: Exception, heard: _Heard, open_s: float, memory_bytes: int | None
) -> StageError | UnreachableError:
    silent, other = isinstance(error, ChildSilentError), isinstance(error, _NoRunnerError)
    status = None if silent or other else child.wait(1.0)
    child.kill()
    log = child.log(LOG_BYTES)
    if launch.shares_files:
        limited = memory_bytes is not None
        outside = died_from_outside(status, log, remote=False, limited=limited)
        ended = last_words(log) or f"{status_in_words(status, log)}, and had said nothing"
        why = f"no answer within {open_s:g} s" if silent else str(error) if other else ended
        return _not_started(memory_bytes, why, outside=outside)
    if silent:
        return no_runner.slow(launch, open_s, heard.how_far, log)
    if heard.facts:
        return no_runner.by_facts(launch, heard.facts)
    if isinstance(error, _NoRunnerError):
        return UnreachableError(
            launch, Trouble.NO_RUNNER, problem=error.problem, found=error.found, remedy=no_runner.READY
        )
    return no_runner.by_status(launch, status, log, heard.talk)


def _not_started(memory_bytes: int | None, why: str, *, outside: bool) -> StageError:
    cause = "the runner did not start" + (f"; {over_limit(memory_bytes)}" if memory_bytes else "")
    return StageError("start", f"{cause}: {why.splitlines()[0]}", why, outside=outside)


class _NoRunnerError(ProtocolError):
    """What came is not what a runner of this version says first."""

    def __init__(self, problem: str, found: str) -> None:
        self.problem, self.found = problem, found
        super().__init__(f"{problem}: {found}")


class _Heard:
    """What came before the runner's first frame: a login shell's talk, and lines of `boot.py`."""

    def __init__(self) -> None:
        self._seen = bytearray()
        self._began = time.monotonic()
        self._python: tuple[str, float] | None = None
        self.facts: Mapping[str, Any] = {}

    def skip_to_preamble(self, read: Callable[[int], bytes]) -> None:
        """Read past all that."""
        line = bytearray()
        while not line.endswith(PREAMBLE):
            if line.endswith(b"\n"):
                self._understood(bytes(line))
                line.clear()
            if len(self._seen) > _TALK_BYTES:
                raise _NoRunnerError(
                    "what answers is no runner", f"{self.talk[:200]!r} and more than {_TALK_BYTES} bytes"
                )
            byte = read(1)
            if not byte:
                raise ProtocolError("the runner ended before it said anything")
            line += byte
            self._seen += byte

    def _understood(self, line: bytes) -> None:
        if other := _OTHER_VERSION.search(line):
            version = f"version {int(other[1][:9])} of the protocol"
            raise _NoRunnerError("its paretune is of another version", f"its runner speaks {version}")
        if line.startswith(STARTS):
            self._python = f"Python {_facts(line, STARTS).get('python')}", time.monotonic() - self._began
        if line.startswith(TROUBLE):
            self.facts = {"what": "", **_facts(line, TROUBLE)}

    @property
    def talk(self) -> str:
        """What a login shell printed."""
        lines = bytes(self._seen[:_TALK_BYTES]).splitlines(keepends=True)
        ours = (STARTS, TROUBLE)
        return printable(b"".join(one for one in lines if not one.startswith(ours)).decode(errors="replace"))

    @property
    def how_far(self) -> str:
        """What of the start was done, and what was not."""
        if self._python is not None:
            name, after = self._python
            return f"{name} there ran after {after:.0f} s, and has loaded the runner's libraries since then"
        said = one_line(self.talk, 100)
        return f"its login shell said {said!r}, but no Python runs" if said else "nothing came from it"


def _facts(line: bytes, mark: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(line[len(mark) :])
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
