"""Helpers of a runtime (builders, timers) end with the runner that started them, however it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# A process that is killed cannot clean up. This one sees that its parent is gone, and ends the whole group.
_WATCH = """
import os, time
parent = os.getppid()
while os.getppid() == parent:
    time.sleep(0.2)
os.killpg(0, 9)
"""


@contextmanager
def group_ends_with_us() -> Iterator[None]:
    """Inside, every process of this one's group is killed when this one dies. It has to lead its group, as
    runners do; elsewhere others may be in it, and nothing is done."""
    if os.getpgrp() != os.getpid():
        yield
        return
    command = [sys.executable, "-I", "-S", "-c", _WATCH]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as watcher:
        try:
            yield
        finally:
            watcher.kill()
