"""A score with its 95 % interval over the samples of a split, and what it is made of."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ....profiles.errors import StageError
from ....profiles.quantity import Quantity
from ...record.arrays import Flags, Floats
from ...record.samples import MOST_HITS, of_draws, of_hits
from ...workload.metric import Array, Metric, Outputs
from ...workload.metrics import ACCURACY
from ...workload.outputs import rows_of

RESAMPLES = 500
ASKED_ONE_BY_ONE = 20_000
"""Of more samples a metric is not asked whether it is the share of those that are right."""
Rows = NDArray[np.int64]


def score(metric: Metric, outputs: Outputs, labels: Array, *, place: str, samples: str = "") -> Quantity:
    """The metric with its interval and what it is made of; `samples` names these samples and the metric.

    Wilson's score interval (1927) where it is the share of samples that are right, the percentile bootstrap
    (Efron 1979) for all others: that says nothing where every sample is right, Wilson's interval does.

    Raises:
        StageError: the metric gives no finite number; `place` names outputs and samples in the message.
    """
    value, count = metric.score(outputs, labels, place=place), len(labels)
    right = _right(metric, outputs, labels, value)
    if right is not None:
        low, high = wilson(value, count)
        results = of_hits(samples, right)
        if count > MOST_HITS:
            results = of_draws(samples, count, drawn(lambda rows: float(right[rows].mean()), count))
        return Quantity(value=value, low=low, high=high, by_sample=results)
    draws = drawn(lambda rows: drawn_score(metric, rows_of(outputs, rows), labels[rows]), count)
    low, high = _middle(draws)
    if not math.isfinite(low):
        return Quantity(value=value, low=value, high=value)
    results = of_draws(samples, count, draws)
    return Quantity(value=value, low=min(low, value), high=max(high, value), by_sample=results)


def _right(metric: Metric, outputs: Outputs, labels: Array, value: float) -> Flags | None:
    """Which samples are right, where the metric is their share: of single samples it is 0 or 1 then, and of
    the first few, and of more and more of them, the mean of these."""
    count = len(labels)
    if metric == ACCURACY and labels.ndim == 1 and isinstance(outputs, np.ndarray) and outputs.ndim == 2:
        return np.asarray(outputs.argmax(axis=-1) == labels)
    if count > ASKED_ONE_BY_ONE:
        return None
    found, asked = np.empty(count, dtype=bool), 0
    while asked < count:
        upto = min(max(2 * asked, 16), count)
        for row in range(asked, upto):
            one = drawn_score(metric, rows_of(outputs, slice(row, row + 1)), labels[row : row + 1])
            if one not in (0.0, 1.0):
                return None
            found[row] = one == 1.0
        asked = upto
        first = slice(0, asked)
        whole = value if asked == count else drawn_score(metric, rows_of(outputs, first), labels[first])
        if not abs(whole - float(found[first].mean())) < 1e-6:
            return None
    return found


def drawn_score(metric: Metric, outputs: Outputs, labels: Array) -> float:
    """The metric of some of the samples; NaN where it gives none, say for want of a class among them."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return metric.score(outputs, labels, place="some of the samples")
    except StageError:
        return math.nan


def drawn(statistic: Callable[[Rows], float], count: int, resamples: int = RESAMPLES) -> Floats:
    """The statistic over draws of `count` samples with replacement: the same draws for every statistic."""
    rng = np.random.default_rng(0)
    return np.array([statistic(rng.integers(0, count, size=count)) for _ in range(resamples)], dtype=float)


def bootstrap(
    statistic: Callable[[Rows], float], count: int, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Percentile bootstrap over `count` samples, 95 %; NaN where no draw of rows gave a finite number."""
    return _middle(drawn(statistic, count, resamples))


def _middle(draws: Floats) -> tuple[float, float]:
    draws = draws[np.isfinite(draws)]
    if not len(draws):
        return math.nan, math.nan
    low, high = np.percentile(draws, [2.5, 97.5])
    return float(low), float(high)


def wilson(share: float, count: int) -> tuple[float, float]:
    """95 % interval of a share that was found in `count` samples (Wilson 1927)."""
    z = 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)
