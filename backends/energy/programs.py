"""Programs that tell of meters: run with a limit, or read line by line while they run."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ..watch.tools import LIMIT_S as TOOL_S
from ..watch.tools import plain_environment, run
from .meter import MeterError

LIMIT_S, _MOST_BYTES = 2.0, 2**16


class Lines:
    """A program and what it writes. Where this process is killed, it ends at its next line."""

    def __init__(self, command: Sequence[str]) -> None:
        self._name, self._rest = Path(command[0]).name, b""
        self.number = 0
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=plain_environment(),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise MeterError(f"{self._name} does not start: {error}") from error

    def line(self, limit_s: float) -> str:
        """The next line; `number` counts them. An empty one is left out.

        Raises:
            MeterError: none came in time, it has ended, or writes without end.
        """
        until = time.monotonic() + limit_s
        while True:
            line, mark, rest = self._rest.partition(b"\n")
            if mark:
                self._rest = rest
                if not line.strip():
                    continue
                self.number += 1
                return line.decode(errors="replace")
            self._rest += self._more(until, limit_s)

    def _more(self, until: float, limit_s: float) -> bytes:
        if len(self._rest) > _MOST_BYTES:
            raise MeterError(f"{self._name} writes without an end of line")
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        if not select.select([pipe], [], [], max(0.0, until - time.monotonic()))[0]:
            raise MeterError(f"{self._name} said nothing for {limit_s:g} s")
        part = os.read(pipe, _MOST_BYTES)
        if not part:
            said = self._rest.decode(errors="replace").strip()
            raise MeterError(f"{self._name} ended" + (f": {said}" if said else ""))
        return part

    def close(self) -> None:
        """End it; a second call does nothing."""
        with suppress(OSError):  # what it has started as well
            os.killpg(self._process.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=LIMIT_S)
        if self._process.stdout is not None:
            self._process.stdout.close()


def printed(command: Sequence[str]) -> str:
    """What a program writes until it ends.

    Raises:
        MeterError: it takes longer than a second: it is ended then.
    """
    said, in_time = run(command, errors=True)
    if not in_time:
        raise MeterError(f"{Path(command[0]).name} did not end within {TOOL_S:g} s")
    return said
