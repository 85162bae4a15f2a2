"""What a search over a recorded space has spent, and what share of the true front it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Quantity

from benchmarks.exhaustive.table import LATENCY, SIZE, Point, Recorded
from benchmarks.replay.evaluator import Noise, Row

GOAL = 0.99
"""A search ends when it holds this share of the true front's hypervolume."""
MOST_TRIALS = 3000
"""Or after so many trials: five times the space."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """How far a search had come: seconds of training and of everything, trainings paid for, and the share of
    the true front's hypervolume that what it evaluated is truly worth."""

    training_seconds: float
    seconds: float
    trainings: int
    share: float


class Holdings:
    """What was evaluated, by its true values. Each growth of the share is kept as a moment."""

    def __init__(self, table: Recorded) -> None:
        self.table, self.share = table, 0.0
        self.history: list[Moment] = []
        self._front: list[Point] = []

    def add(self, candidate: Candidate, training_seconds: float, seconds: float, trainings: int) -> None:
        """Take in an evaluated candidate, with what was spent until then."""
        point = self.table.true(candidate)
        if point is None or any(_as_good(other, point) for other in self._front):
            return
        self._front = [other for other in self._front if not _as_good(point, other)] + [point]
        before, self.share = self.share, self.table.share(self._front)
        if self.share <= before:  # beyond the reference
            return
        spent = {"training_seconds": training_seconds, "seconds": seconds, "trainings": trainings}
        self.history.append(Moment(**spent, share=self.share))


def _as_good(a: Point, b: Point) -> bool:
    """Whether `a` is nowhere worse than `b`."""
    return a[0] >= b[0] and a[1] <= b[1] and a[2] <= b[2]


@dataclass(frozen=True, kw_only=True)
class PointNoise(Noise):
    """Noise of each candidate's own latency, as wide as its recorded interval says."""

    spread: Mapping[str, float]

    def measured(self, what: str, metrics: Mapping[str, float]) -> dict[str, Quantity]:
        """One measurement; the last word of `what` is the candidate's digest."""
        deviation = self.spread.get(what.rsplit(" ", 1)[-1], 0.0)
        own = Noise(deviations={LATENCY: deviation}, seed=self.seed)
        return own.measured(what, metrics)


class Account:
    """What simple strategies pay. With `remember`, a training is paid for once, and so is an evaluation.

    The uncompressed teacher's simple choices cost nothing, for every strategy alike.
    """

    def __init__(self, table: Recorded, seed: int, *, remember: bool) -> None:
        self.table, self.remember = table, remember
        self.noise = PointNoise(spread=table.noise, seed=seed)
        self.holdings = Holdings(table)
        self.training_seconds = self.seconds = 0.0
        self.trainings = self.evaluations = 0
        self.trained: set[str] = set()
        self.told: dict[str, Point | None] = {}
        self._free = {candidate.digest for candidate in table.space.baselines()}

    def known(self, candidate: Candidate) -> bool:
        """Whether it was evaluated already, and is remembered."""
        return self.remember and candidate.digest in self.told

    def evaluate(self, candidate: Candidate) -> Point | None:
        """Accuracy, latency and size as measured now; None where the candidate cannot exist."""
        if self.known(candidate):
            return self.told[candidate.digest]
        row = self.table.rows[candidate.digest]
        if candidate.digest not in self._free:
            self._pay(row)
        self.evaluations += 1
        self.told[candidate.digest] = found = None if row.refused else self._measured(candidate, row)
        self.holdings.add(candidate, self.training_seconds, self.seconds, self.trainings)
        return found

    def _pay(self, row: Row) -> None:
        for training in row.trainings:
            if self.remember and training.key in self.trained:
                continue
            self.trained.add(training.key)
            self.trainings += 1
            self.training_seconds += training.seconds
            self.seconds += training.seconds
        self.seconds += row.compile_seconds + row.score_seconds + row.measure_seconds

    def _measured(self, candidate: Candidate, row: Row) -> Point:
        which = "" if self.remember else f"{self.evaluations} "
        found = self.noise.measured(f"trained {which}{candidate.digest}", row.hardware)
        return row.quality, found[LATENCY].value, found[SIZE].value
