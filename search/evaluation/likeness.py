"""How alike numbers and vectors of two models are on the same samples, with 95 % intervals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..record.arrays import Floats, Integers, ranks
from ..record.evaluation import Quantity
from ..stages.device.interval import bootstrap
from ..workload.metric import Array

CORRELATION, COSINE, RANKS = "correlation", "cosine", "rank_agreement"
RESAMPLES, _MOST = 200, 256  # samples whose pairs are ranked: their number grows with the square


def correlation(candidate: Array, teacher: Array) -> Quantity:
    """Correlation of all numbers with the teacher's (Pearson)."""
    ours, theirs = (_vectors(outputs) for outputs in (candidate, teacher))
    return _over_samples(lambda rows: _pearson(ours[rows].ravel(), theirs[rows].ravel()), len(ours), "")


def cosine(candidate: Array, teacher: Array) -> Quantity:
    """Mean cosine of each vector with the teacher's for the same sample."""
    alike = np.sum(_directions(candidate) * _directions(teacher), axis=1)
    return _over_samples(lambda rows: float(alike[rows].mean()), len(alike), "")


def rank_agreement(candidate: Array, teacher: Array) -> Quantity:
    """Spearman's correlation of the similarities (cosines) of all pairs of samples: whether both find the
    same samples close to each other."""
    count = min(len(teacher), _MOST)
    ours, theirs = (
        (vectors @ vectors.T) for vectors in (_directions(candidate[:count]), _directions(teacher[:count]))
    )
    one, other = np.triu_indices(count, 1)

    def agree(rows: Integers) -> float:
        left, right = rows[one], rows[other]
        pairs = left != right  # a sample that was drawn twice is no pair
        left, right = left[pairs], right[pairs]
        return _pearson(ranks(ours[left, right]), ranks(theirs[left, right]))

    return _over_samples(agree, count, f"all pairs of {count} samples")


def _over_samples(value_of: Callable[[Integers], float], count: int, how: str) -> Quantity:
    value = float(value_of(np.arange(count)))
    low, high = bootstrap(value_of, count, RESAMPLES)
    if not np.isfinite([low, high]).all():
        low = high = value
    how = how or f"against the teacher, {count} samples"
    return Quantity(value=value, low=min(low, value), high=max(high, value), how=how)


def _vectors(outputs: Array) -> Floats:
    return np.asarray(outputs, dtype=np.float64).reshape(len(outputs), -1)


def _directions(outputs: Array) -> Floats:
    vectors = _vectors(outputs)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))


def _pearson(one: Floats, other: Floats) -> float:
    """0 where one of both does not vary."""
    ours, theirs = one - one.mean(), other - other.mean()
    scale = float(np.sqrt(np.sum(ours**2) * np.sum(theirs**2)))
    return float(np.sum(ours * theirs)) / scale if scale > 0 else 0.0
