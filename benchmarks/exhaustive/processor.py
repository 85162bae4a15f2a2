"""How much of the clock's time the processor worked for something, its child processes included."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from paretune.profiles.files import write_whole


def processor_seconds() -> float:
    """That this process and all that it started have worked so far."""
    own, total = psutil.Process(), 0.0
    for process in (own, *own.children(recursive=True)):
        with suppress(psutil.Error):  # it has just ended, and counts among the ended ones
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


@dataclass(kw_only=True)
class MadeMeanwhile:
    """What was made meanwhile, by key."""

    of: list[str] = field(default_factory=list)


class Spent:
    """The processor's share of the clock's time in which something was made, by key; kept in a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def shares(self) -> dict[str, float]:
        """Read anew each time: another process may be warming the same store."""
        found: dict[str, float] = json.loads(self.path.read_text()) if self.path.is_file() else {}
        return found

    @contextmanager
    def counted(self) -> Iterator[MadeMeanwhile]:
        """Count what is done inside for all that is named in `of`."""
        found, before, worked = MadeMeanwhile(), time.monotonic(), processor_seconds()
        yield found
        seconds = time.monotonic() - before
        if found.of and seconds > 0:
            share = min(1.0, (processor_seconds() - worked) / seconds)
            write_whole(self.path, json.dumps({**self.shares, **dict.fromkeys(found.of, share)}))
