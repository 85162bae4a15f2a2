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

    def ended(self, gains: Sequence[float], beside: Sequence[int]) -> str:
        """Why the search may end by what its proposals promised, or an empty text. Beside each of them so
        many others were under way: what came of these it did not know, and so many more have to promise as
        little."""
        wanted = self.proposals + max(beside[-self.proposals :], default=0)
        if len(gains) < wanted or max(gains[-wanted:]) >= self.gain:
            return ""
        return (
            f"for {self.proposals} proposals in a row, a training's time was expected to raise the "
            f"hypervolume by less than {100 * self.gain:g} %"
        )
