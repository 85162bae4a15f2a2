"""The hard limits of a runner."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Hard limits of a runner: seconds that one request may take, and private memory in bytes.

    `open_s` also holds for starting the runner and sending files, `run_s` for one sample request, one first
    inference, or one part of a split that is scored (`pace.py` sizes them). `patience_s` is how long a
    device that is not this machine, and does not answer any more, is waited for.
    """

    compile_s: float = 600.0
    open_s: float = 120.0
    run_s: float = 120.0
    memory_bytes: int | None = None
    patience_s: float = 600.0


Pinned = bool | tuple[int, ...]
"""Whether a session is held on cores: of the device's own choice, or on these."""
