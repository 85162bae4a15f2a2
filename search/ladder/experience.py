"""What rungs are expected to win back and to take: stated before anything was seen, then learned."""

from __future__ import annotations

from collections import defaultdict

from ...profiles.precision import Precision
from ..record.evaluation import Evaluation
from ..record.quality import QualityScale
from ..record.treatment import CALIBRATION, MIXED, QAT

SHARES = {CALIBRATION: 0.25, MIXED: 0.5, QAT: 0.7}
"""Of the loss that a rung wins back, before anything was seen."""
WORTH_OF_A_GUESS = 2.0
"""So many climbs the stated share counts as."""
LEAST_PACE, MOST_PACE = 0.25, 8.0
"""How much shorter or longer than predicted rungs are believed to take."""


class Experience:
    """Learns from the ladders of evaluations, by backend and precision."""

    def __init__(self) -> None:
        self._shares: dict[tuple[str, str, Precision], list[float]] = defaultdict(list)
        self._paces: dict[str, list[float]] = defaultdict(list)

    def learn(self, evaluation: Evaluation, scale: QualityScale) -> None:
        """Take in what the rungs of an evaluation won back of what was lost, and how long they took."""
        candidate, best = evaluation.candidate, evaluation.float_quality
        if best is None:
            return
        for rung in evaluation.ladder:
            lost = scale.goodness(best) - scale.goodness(rung.before)
            if lost > 0:
                won = scale.goodness(rung.after) - scale.goodness(rung.before) if rung.kept else 0.0
                key = (rung.name, candidate.backend, candidate.precision)
                self._shares[key].append(min(1.0, max(0.0, won / lost)))
            if rung.predicted_seconds > 0 and rung.seconds > 0:
                pace = rung.seconds / rung.predicted_seconds
                self._paces[rung.name].append(min(MOST_PACE, max(LEAST_PACE, pace)))

    def share(self, rung: str, backend: str, precision: Precision) -> float:
        """The share of what is lost that the rung is expected to win back."""
        return _mean(SHARES[rung], self._shares.get((rung, backend, precision), []))

    def pace(self, rung: str) -> float:
        """So many times as long as is first predicted a rung is expected to take."""
        return _mean(1.0, self._paces.get(rung, []))


def _mean(guess: float, seen: list[float]) -> float:
    return (guess * WORTH_OF_A_GUESS + sum(seen)) / (WORTH_OF_A_GUESS + len(seen))
