"""The budget of a backend that must be tuned."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """How much a backend may try for one model: so many schedules, for so many seconds, for so many threads.

    What comes first ends it. What `Backend.tune` has written by then is used.
    """

    trials: int
    seconds: float
    threads: int = 1
