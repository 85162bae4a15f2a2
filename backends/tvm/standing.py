"""Which function of a model is worth the next round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

FIRST_ROUND, ROUND = 4, 16
_LOST_HOPE = 4
_GAIN = 0.02


@dataclass(frozen=True, kw_only=True)
class TaskStanding:
    """How far one function is: how often the model calls it, its best seconds so far (None: none measured),
    schedules tried, and rounds since the last gain. `known`: it was tuned elsewhere."""

    weight: float
    seconds: float | None = None
    tried: int = 0
    rounds: int = 0
    in_vain: int = 0
    known: bool = False

    def after(self, tried: int, seconds: float | None) -> TaskStanding:
        """After a round of so many schedules, with what is best now."""
        gained = seconds is not None and (self.seconds is None or seconds < (1 - _GAIN) * self.seconds)
        return replace(
            self,
            seconds=seconds,
            tried=self.tried + tried,
            rounds=self.rounds + 1,
            # A round that found nothing new to try has seen all there is.
            in_vain=_LOST_HOPE if not tried else 0 if gained else self.in_vain + 1,
        )

    @property
    def hope(self) -> float:
        """The seconds of a run of the model that another round may still save."""
        return self.weight * (self.seconds or 0.0) / (1 + self.in_vain)


def next_task(standings: Sequence[TaskStanding]) -> int | None:
    """The one to take: all once, since what has no schedule is slow beyond measure; then where most time goes
    and rounds still help. None where nothing is left to try."""
    tunable = [i for i, one in enumerate(standings) if not one.known and one.in_vain < _LOST_HOPE]
    untouched = [i for i in tunable if not standings[i].rounds]
    if untouched:
        return untouched[0]
    return max(tunable, key=lambda i: standings[i].hope, default=None)


def round_size(standing: TaskStanding, left: int) -> int:
    """How many schedules to try: few at first."""
    return min(ROUND if standing.rounds else FIRST_ROUND, left)
