"""One proposal, before it is a candidate."""

from __future__ import annotations

from dataclasses import dataclass

CONTINUED = "continued"
"""How a candidate was proposed whose training was paused."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A row of the pool, and what was expected of it."""

    row: int
    by: str
    quality: tuple[float, float, float] | None = None  # goodness: value, low, high of the 95 % interval
    gain: float | None = None
    seconds: float | None = None
    rate: float = 0.0
    """Expected gain per second, as candidates are ranked by it."""
