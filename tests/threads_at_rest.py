"""Whether threads sleep at once, told by the processor time that they spend before: however late they get a
processor, that is the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

_TASKS = Path("/proc/self/task")
_AT_ONCE_S = 0.002
"""Threads that spin spend 30 ms and more before they sleep, others 0.05 ms."""


def threads() -> set[int]:
    """Those of this process."""
    return {int(path.name) for path in _TASKS.iterdir()}


def sleep_at_once(those: set[int], work: Callable[[], object]) -> bool:
    """Whether they do, after the work."""
    assert those
    begun = _spent(those)
    work()
    while _spent(those) - begun < _AT_ONCE_S:
        if all(map(_sleeps, those)):
            return True
        time.sleep(0.001)
    return False


def _sleeps(thread: int) -> bool:
    return (_TASKS / str(thread) / "stat").read_text().rpartition(")")[2].split()[0] == "S"


def _spent(those: set[int]) -> float:
    """The kernel's number of a thread's own clock is made of the thread's."""
    return sum(time.clock_gettime(~thread << 3 | 6) for thread in those)
