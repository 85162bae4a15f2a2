"""How well the accuracy model predicted: what it said of each candidate against what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from ...search.ranking.known import complete_trials, searched_metrics
from ...search.record.evaluation import Quantity, StudyRecord

FEWEST = 5  # with fewer, none of the figures means anything


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Quality of one complete candidate on validation, predicted before it was evaluated, and found.

    `mean_before` is the mean of all that was known then, the least that a model has to beat.
    """

    number: int
    predicted: Quantity
    found: Quantity
    mean_before: float | None

    @property
    def held(self) -> bool | None:
        """Whether the 95 % interval of the prediction holds what was found; None without an interval."""
        low, high = self.predicted.low, self.predicted.high
        return None if low is None or high is None else low <= self.found.value <= high


@dataclass(frozen=True, kw_only=True)
class Score:
    """Mean absolute error of the model and of a constant, in the metric's unit; `held` of `intervals`
    95 % intervals held. `rank_correlation` (Spearman) is None where all values are the same."""

    count: int
    error: float
    constant_error: float | None
    held: int
    intervals: int
    rank_correlation: float | None


def predictions(record: StudyRecord) -> tuple[Prediction, ...]:
    """Every complete candidate whose quality was predicted, in order."""
    known: list[float] = []
    made = []
    for trial in complete_trials(record):
        found = searched_metrics(trial).get(record.quality)
        if found is None:
            continue
        proposal = trial.evaluation.proposal
        predicted = proposal.quality if proposal is not None else None
        if predicted is not None and isfinite(predicted.value):
            before = sum(known) / len(known) if known else None
            made.append(Prediction(number=trial.number, predicted=predicted, found=found, mean_before=before))
        known.append(found.value)
    return tuple(made)


def score(made: Sequence[Prediction]) -> Score | None:
    """How good the predictions were; None for fewer than five."""
    if len(made) < FEWEST:
        return None
    found = np.array([p.found.value for p in made])
    predicted = np.array([p.predicted.value for p in made])
    before = [p.mean_before for p in made if p.mean_before is not None]
    held = [p.held for p in made if p.held is not None]
    return Score(
        count=len(made),
        error=float(np.abs(predicted - found).mean()),
        constant_error=float(np.abs(np.array(before) - found).mean()) if len(before) == len(made) else None,
        held=sum(held),
        intervals=len(held),
        rank_correlation=spearman(predicted, found),
    )


def spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    """Rank correlation; equal values share the mean of their ranks. None where either never varies."""
    x, y = (_ranks(values) for values in (a, b))
    if x.std() == 0 or y.std() == 0:
        return None
    return float(np.corrcoef(x, y)[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    mean_rank: NDArray[np.float64] = last - (counts - 1) / 2
    return mean_rank[group]
