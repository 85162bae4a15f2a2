"""Tools that only some boards have: one that is missing costs nothing after the first look."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress

LIMIT_S = 1.0
_MOST_BYTES, _MOST_HANGS = 2**16, 2
# Numbers with a point, messages in English, whatever the user's language is.
_PLAIN = {"LC_ALL": "C", "LANG": "C"}
_MORE_PLACES = ("/usr/bin", "/usr/sbin", "/opt/vc/bin", "/usr/local/bin")


def plain_environment() -> dict[str, str]:
    """This process's environment, in which tools speak English."""
    return {**os.environ, **_PLAIN}


class Tools:
    """Runs commands by name; each is looked for once, cut after a second, and left alone once it has hung
    twice."""

    def __init__(self) -> None:
        self._places: dict[str, str | None] = {}
        self._hung: dict[str, int] = {}

    def printed(self, name: str, *arguments: str, first_line: bool = False) -> str:
        """What a command writes to standard output within a second, up to 64 kB, or its first line alone; ""
        where it is missing or says nothing."""
        place = self._place(name)
        if place is None or self._hung.get(name, 0) >= _MOST_HANGS:
            return ""
        said, in_time = run([place, *arguments], first_line=first_line)
        if not (in_time or said):
            self._hung[name] = self._hung.get(name, 0) + 1
        return said

    def _place(self, name: str) -> str | None:
        if name not in self._places:
            self._places[name] = place_of(name)
        return self._places[name]


def place_of(name: str) -> str | None:
    """Where a command lies, by its name or path; None where it is not here."""
    return shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *_MORE_PLACES)))


def run(command: Sequence[str], *, first_line: bool = False, errors: bool = False) -> tuple[str, bool]:
    """What it wrote, with `errors` also to standard error, and whether it came to an end in time."""
    try:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if errors else subprocess.DEVNULL,
            env=plain_environment(),
            start_new_session=True,
        )
    except (OSError, ValueError):
        return "", True
    assert child.stdout is not None
    with child.stdout as pipe:
        said, in_time = _read(pipe.fileno(), first_line=first_line)
        with suppress(OSError):  # what it has started as well
            os.killpg(child.pid, signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):  # one that not even that ends is left behind
            child.wait(timeout=LIMIT_S)
    return said.decode(errors="replace"), in_time


def _read(pipe: int, *, first_line: bool) -> tuple[bytes, bool]:
    said, until = b"", time.monotonic() + LIMIT_S
    while (left := until - time.monotonic()) > 0 and len(said) < _MOST_BYTES:
        if not select.select([pipe], [], [], left)[0]:
            break
        part = os.read(pipe, _MOST_BYTES - len(said))
        said += part
        if not part or (first_line and b"\n" in said):
            return said, True
    return said, False
