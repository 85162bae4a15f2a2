"""Seconds of the budget that a search leaves for its finalists."""

from __future__ import annotations

from collections import deque
from statistics import median

from ..record.evaluation import Outcome, TrialRecord
from ..record.sustained import MOST

LATEST = 20
"""So many trials tell what scoring and measuring take."""


class FinalistTime:
    """Estimates what checking the finalists will take, from what scoring and measuring took in trials.

    `finalists` of them and the strongest simple choice; `rounds` is how many times as many rounds as in a
    trial they are measured in, `samples` how many times as many samples they are scored on; `each_s`
    are seconds that each of them takes beside.
    """

    def __init__(self, finalists: int, rounds: float, samples: float, each_s: float = 0.0) -> None:
        self.finalists, self.rounds, self.samples, self.each_s = finalists, rounds, samples, each_s
        self._seconds: deque[float] = deque(maxlen=LATEST)
        self._complete = 0

    def learn(self, record: TrialRecord) -> None:
        """Take in a trial that has ended."""
        if not record.ended(Outcome.COMPLETE):
            return
        self._complete += 1
        spent = {s.name: s.seconds for s in record.evaluation.stages if not s.cached}
        if {"score", "measure"} <= set(spent):
            self._seconds.append(self.samples * spent["score"] + self.rounds * spent["measure"])

    def seconds(self, budget: float) -> float:
        """What to keep of a budget of so many seconds."""
        count = min(self._complete, self.finalists + 1)
        return min(count * (median(self._seconds) + self.each_s), MOST * budget) if self._seconds else 0.0
