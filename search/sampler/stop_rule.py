"""When little is left to gain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StopRule:
    """End when a training's worth of seconds is expected to raise the hypervolume by less than the share
    `gain`, `proposals` times in a row."""

    gain: float = 1e-3
    proposals: int = 6

    def ended(self, gains: Sequence[float], at_once: int) -> str:
        """Why the search may end by what its proposals promised, or an empty text. `at_once` were evaluated
        at a time: what was proposed beside others did not know yet what came of them, and so many more count.
        """
        latest = gains[-(self.proposals + at_once - 1) :]
        if len(latest) < self.proposals or max(latest) >= self.gain:
            return ""
        return (
            f"for {self.proposals} proposals in a row, a training's time was expected to raise the "
            f"hypervolume by less than {100 * self.gain:g} %"
        )
