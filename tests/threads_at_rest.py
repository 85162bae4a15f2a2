"""Processor time that threads spend until they sleep: however late they get a processor, it is the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

_TASKS = Path("/proc/self/task")


def threads() -> set[int]:
    """Those of this process."""
    return {int(path.name) for path in _TASKS.iterdir()}


def spent_until_asleep(new: set[int], work: Callable[[], object], times: int = 3) -> float:
    """Seconds of those threads, from each start of the work until all of them sleep."""
    begun = _spent(new)
    for _ in range(times):
        work()
        while not all(map(_sleeps, new)):
            time.sleep(0.001)
    return _spent(new) - begun


def _sleeps(thread: int) -> bool:
    return (_TASKS / str(thread) / "stat").read_text().rpartition(")")[2].split()[0] == "S"


def _spent(of: set[int]) -> float:
    """The kernel's number of a thread's own clock is made of the thread's."""
    return sum(time.clock_gettime(~thread << 3 | 6) for thread in of)
