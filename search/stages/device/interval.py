"""95 % interval of a quality metric over the samples of a split."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ....profiles.errors import StageError
from ...workload.workload import ACCURACY, Array, Metric

RESAMPLES = 500
Rows = NDArray[np.int64]


def quality_interval(metric: Metric, outputs: Array, labels: Array, value: float) -> tuple[float, float]:
    """Wilson's score interval (1927) for accuracy, the percentile bootstrap (Efron 1979) for other metrics.

    The bootstrap says nothing where every sample is right, Wilson's interval does. `value` is the metric of
    all samples.
    """
    if metric == ACCURACY:
        return wilson(value, len(labels))
    low, high = bootstrap(lambda rows: drawn_score(metric, outputs[rows], labels[rows]), len(labels))
    return (float(min(low, value)), float(max(high, value))) if np.isfinite(low) else (float(value),) * 2


def drawn_score(metric: Metric, outputs: Array, labels: Array) -> float:
    """The metric of a random draw of samples; NaN where it gives none, say for want of a class in it."""
    try:
        return metric.score(outputs, labels, place="a draw of samples")
    except StageError:
        return math.nan


def bootstrap(
    statistic: Callable[[Rows], float], count: int, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Percentile bootstrap over `count` samples, 95 %; NaN where no draw of rows gave a finite number."""
    rng = np.random.default_rng(0)
    drawn = np.array([statistic(rng.integers(0, count, size=count)) for _ in range(resamples)], dtype=float)
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return math.nan, math.nan
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def wilson(share: float, count: int) -> tuple[float, float]:
    """95 % interval of a share that was found in `count` samples (Wilson 1927)."""
    z = 1.96
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)
