"""Response times counted in bins that grow by a share of themselves, as a device tells them: whatever their
number, the answer stays small."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

GROWTH = 1.005
"""Of a bin against the one before: no time is told worse than by half a per cent, and never too small."""
_LOG = float(np.log(GROWTH))
MOST_BIN = 10_000
"""That of 146 000 years."""


def bins_of(nanoseconds: NDArray[np.int64]) -> NDArray[np.int64]:
    """The bin of each time."""
    found: NDArray[np.int64] = np.ceil(np.log(np.maximum(nanoseconds, 1)) / _LOG - 1e-9).astype(np.int64)
    return found


def ends_of(bins: NDArray[np.int64]) -> NDArray[np.float64]:
    """The largest time of each bin, in nanoseconds."""
    found: NDArray[np.float64] = np.exp(np.asarray(bins, np.float64) * _LOG)
    return found


def counted(nanoseconds: NDArray[np.int64]) -> list[int]:
    """Bin, count, bin, count and so on, for the bins that are not empty."""
    bins, counts = np.unique(bins_of(nanoseconds), return_counts=True)
    return [int(n) for pair in zip(bins, counts, strict=True) for n in pair]


def spread_out(pairs: Sequence[int]) -> NDArray[np.float64]:
    """The times that were counted, each at the end of its bin, in nanoseconds, sorted."""
    bins, counts = np.array(pairs[0::2], np.int64), np.array(pairs[1::2], np.int64)
    found: NDArray[np.float64] = np.repeat(ends_of(bins), counts)
    return found
