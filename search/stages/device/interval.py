"""95 % interval of a quality metric over the samples of a split."""

from __future__ import annotations

import math

import numpy as np

from ...workload.workload import ACCURACY, Array, Metric

RESAMPLES = 500


def quality_interval(metric: Metric, outputs: Array, labels: Array, seed: int = 0) -> tuple[float, float]:
    """Wilson's score interval (1927) for accuracy, the percentile bootstrap (Efron 1979) for other metrics.

    The bootstrap says nothing where every sample is right, Wilson's interval does.
    """
    value = metric.function(outputs, labels)
    if metric == ACCURACY:
        return wilson(value, len(labels))
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(labels), size=(RESAMPLES, len(labels)))
    values = np.array([metric.function(outputs[index], labels[index]) for index in rows], dtype=float)
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return float(value), float(value)
    low, high = np.percentile(values, [2.5, 97.5])
    return float(min(low, value)), float(max(high, value))


def wilson(share: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """Interval of a share that was found in `count` samples (Wilson 1927), of 95 % for the default `z`."""
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)
