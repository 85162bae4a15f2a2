"""Whoever controls a training from outside: what it is asked, and what it is told."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Control:
    """`should_stop` is asked after every epoch, and `out_of_time` after every step: then the training goes on
    from its last whole epoch when it is called again. `progress` is told a line about each epoch, `note` what
    is worth a line of its own, and `saved` that there is another checkpoint. Each `step`, and each time that
    the quality is taken, is a block, whose beginning may wait for others who need the machine. `clock` tells
    what a training takes, in seconds: one that stands still in such waits tells none of them."""

    should_stop: Callable[[], bool] = lambda: False
    out_of_time: Callable[[], bool] = lambda: False
    progress: Callable[[str], None] = lambda line: None
    note: Callable[[str], None] = lambda line: None
    saved: Callable[[], None] = lambda: None
    step: Callable[[], AbstractContextManager[None]] = nullcontext
    clock: Callable[[], float] = time.monotonic
