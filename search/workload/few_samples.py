"""A few samples that stand for a split: always the same ones of the same data, and of each class where they
can."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

import numpy as np

from ..record.arrays import Integers
from .metric import Array
from .workload import Split

MOST, FEWEST = 256, 8
USUAL_BYTES, MOST_BYTES = 4 * 2**20, 64 * 2**20
"""So much they take together, and so much where that would be fewer than the fewest."""
_LOOKED_AT = 4096


def few_samples(split: Split, bytes_beside: int) -> Integers:
    """Rows of the split, in its order; none where one alone is too large. `bytes_beside` is what is kept of a
    sample beside its inputs and labels."""
    arrays = [*split.inputs.values(), split.labels]
    each = bytes_beside + sum(array.nbytes // max(len(array), 1) for array in arrays)
    fits = max(USUAL_BYTES // max(each, 1), min(FEWEST, MOST_BYTES // max(each, 1)))
    count = min(MOST, len(split), fits)
    order = np.random.default_rng(0).permutation(len(split))
    first = _of_each_class(split.labels, order)[:count]
    rest = order[~np.isin(order, first)]
    return np.sort(np.concatenate([first, rest[: count - len(first)]]).astype(np.int64))


def _of_each_class(labels: Array, order: Integers) -> Integers:
    """One row of each class in that order, as long as there are some that are classes."""
    if labels.dtype.kind not in "biuSUf" or not len(order):
        return order[:0]
    if labels.dtype.kind == "f" and not _decided(labels[order[:MOST]]):
        return order[:0]
    if labels.ndim == 1:
        _, places = np.unique(labels[order], return_index=True)
        return np.asarray(order[np.sort(places)])
    return _covering(labels, order[:_LOOKED_AT])


def _covering(labels: Array, order: Integers) -> Integers:
    """Rows of which each has a class that none before has: of its tokens or pixels, or one of its labels."""
    several = _decided(labels[order[:MOST]])
    seen: set[Hashable] = set()
    rows = []
    for row in order:
        new = set(_classes(labels[row], several)) - seen
        if new:
            rows.append(row)
            seen |= new
    return np.array(rows, dtype=np.int64)


def _classes(label: Array, several: bool) -> Iterable[Hashable]:
    values = np.unique(label)
    found: list[Hashable] = [value for value in values.tolist() if isinstance(value, str) or value >= 0]
    if several:  # 0 and 1: which of them are set
        found += [("set", place) for place in np.flatnonzero(label)[:MOST].tolist()]
    return found


def _decided(labels: Array) -> bool:
    """Whether there is nothing but 0 and 1."""
    return labels.dtype.kind in "biuf" and bool(np.isin(labels, (0, 1)).all())
