"""Samples in parts that are quick to send."""

from __future__ import annotations

from collections.abc import Iterator

from ..contract.backend import Array, CalibrationData

SENT_AT_ONCE_BYTES = 64 * 2**20


def parts(data: CalibrationData, batch: int) -> Iterator[dict[str, Array]]:
    """Samples in parts of a size that is quick to send; whole batches, so that only the last is filled up."""
    rows = len(next(iter(data.values())))
    if rows == 0:
        raise ValueError("there are no samples to infer")
    row_bytes = max(1, sum(array.nbytes for array in data.values()) // max(1, rows))
    step = max(1, SENT_AT_ONCE_BYTES // (row_bytes * batch)) * batch
    for first in range(0, rows, step):
        yield {name: array[first : first + step] for name, array in data.items()}
