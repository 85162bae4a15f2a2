"""What the file of a lease says: its number, and for those who wait who holds it and since when."""

from __future__ import annotations

import json
import os
import random
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...profiles.words import one_line

SAID_BYTES = 2048
OWNER = ("who", "study")
"""What is told of an owner, as text."""
FOR_OTHERS = "for_others"
"""Told where the process that holds it does so for somebody elsewhere, and for nothing else."""
_DIGITS, _MOST, _FIRST_BELOW, _MOST_CHARACTERS = 16, 2**53, 2**52, 100
_NUMBER = re.compile(rb"(\d{%d})\n" % _DIGITS)


def text_of(number: int, owner: Mapping[str, str]) -> bytes:
    """The whole content: always as long, so that it is written over the earlier one at once."""
    told = {name: str(owner.get(name, ""))[:_MOST_CHARACTERS] for name in OWNER}
    kind = {FOR_OTHERS: True} if owner.get(FOR_OTHERS) else {}
    said = json.dumps({**told, **kind, "pid": os.getpid(), "taken_s": _now()})
    return f"{number:0{_DIGITS}d}\n{said}".encode()[: SAID_BYTES - 1].ljust(SAID_BYTES - 1) + b"\n"


def number_in(content: bytes) -> int | None:
    """The number; None where there is none."""
    found = _NUMBER.match(content)
    number = int(found[1]) if found else 0
    return number if 0 < number < _MOST else None


def number_after(content: bytes) -> int:
    """A number that no earlier holder had. The first is drawn, so that a file that was removed and made anew
    does not repeat those of the old one."""
    after = (number_in(content) or _MOST) + 1
    return after if after < _MOST else random.SystemRandom().randrange(1, _FIRST_BELOW)


def said_by(content: bytes) -> dict[str, Any]:
    """Who holds the lease ("who", "study", "pid", and whether that is "stopped") and for how many
    "seconds", as far as that is told. Any user may have written it."""
    try:
        said = json.loads(content.partition(b"\n")[2])
    except (ValueError, RecursionError):
        return {}
    if not isinstance(said, dict):
        return {}
    found: dict[str, Any] = {
        name: one_line(said[name], _MOST_CHARACTERS) for name in OWNER if isinstance(said.get(name), str)
    }
    if type(said.get("pid")) is int and 0 < said["pid"] < 2**31:
        found["pid"] = said["pid"]
        found["stopped"] = is_stopped(said["pid"])
    if said.get(FOR_OTHERS) is True:
        found[FOR_OTHERS] = True
    taken = said.get("taken_s")
    if isinstance(taken, int | float) and 0 <= _now() - taken < 1e9:
        found["seconds"] = _now() - taken
    return found


def is_stopped(pid: int) -> bool:
    """Whether a process was stopped, by Ctrl-Z say (not by a debugger), as far as this system tells."""
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state == b"T"


def _now() -> float:
    """Since the device started, which no one who sets its clock changes."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
