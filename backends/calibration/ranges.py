"""Where a histogram of magnitudes is cut."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...profiles.errors import StageError

Histogram = NDArray[np.int64]

BINS = 2048
LEVELS = 128  # magnitudes that signed 8 bits can hold
PERCENTILE = 99.99
SAMPLES_PER_BIN = 64
# More values of one tensor do not move a percentile of 99.99 or a histogram of 2048 bins, but take long.
MOST_VALUES = 2**20


def check_finite(name: str, values: NDArray[Any]) -> None:
    """Refuse a tensor that no range can be taken of. Numbers that are no floats are always finite.

    Raises:
        StageError: it has NaN or infinity; names the tensor, and the samples where it has an axis of them.
    """
    if values.dtype.kind != "f":
        return
    bad = ~np.isfinite(values)
    if bad.any():
        rows = (
            f", in {int(bad.reshape(len(bad), -1).any(axis=1).sum())} of {len(bad)} rows" if bad.ndim else ""
        )
        raise StageError(
            "compile",
            f"the tensor {name!r} has NaN or infinity on the calibration data{rows}: it has no range",
        )


def counted(value: NDArray[Any], largest: float, feeds: int, turn: int) -> Histogram:
    """Counts of |value| in `BINS` equal bins from 0 to `largest`, of one feed out of so many.

    Of large tensors every n-th value is taken, from another one on in each feed.
    """
    step = max(1, value.size * feeds // MOST_VALUES)
    magnitudes = np.abs(value.ravel()[turn % step :: step])
    places = np.minimum(magnitudes * (BINS / (largest or 1.0)), BINS - 1).astype(np.int64)
    return np.bincount(places, minlength=BINS)


def kept_bins(histogram: Histogram, method: str) -> int:
    """How many of the `BINS` bins of magnitudes, from 0 on, method "percentile" or "entropy" keeps."""
    return _percentile_cut(histogram) if method == "percentile" else _entropy_cut(histogram)


def _percentile_cut(histogram: Histogram) -> int:
    """Bins to keep so that `PERCENTILE` per cent of the values are inside."""
    share = np.cumsum(histogram) / max(1, int(histogram.sum()))
    return int(np.searchsorted(share, PERCENTILE / 100.0)) + 1


def _entropy_cut(histogram: Histogram) -> int:
    """Bins to keep so that the clipped and quantized distribution diverges least (Kullback-Leibler).

    The method is the one NVIDIA described for TensorRT (Migacz, "8-bit inference with TensorRT", GTC 2017).
    The first bin is left out: after a ReLU it holds only zeros, which every scale represents exactly.
    """
    counts = histogram.astype(np.float64)
    counts[0] = 0.0
    # Few values in many bins look rough by chance, and roughness would be taken for a reason to clip.
    merged = 1
    while BINS // merged > LEVELS and counts.sum() < SAMPLES_PER_BIN * BINS / merged:
        merged *= 2
    counts = counts.reshape(-1, merged).sum(axis=1)
    if not counts.any():
        return BINS
    cuts = range(LEVELS, len(counts) + 1, max(1, 16 // merged))
    costs = [_divergence(counts, cut) for cut in cuts]
    return cuts[int(np.argmin(costs))] * merged


def _divergence(counts: NDArray[np.float64], cut: int) -> float:
    """Divergence between the values clipped at `cut` bins and their picture on `LEVELS` levels."""
    inside = counts[:cut]
    clipped = inside.copy()
    clipped[-1] += counts[cut:].sum()
    level = np.arange(cut) * LEVELS // cut
    filled = inside > 0
    total = np.bincount(level, weights=inside, minlength=LEVELS)
    members = np.bincount(level, weights=filled.astype(np.float64), minlength=LEVELS)
    picture = np.where(filled, total[level] / np.maximum(members[level], 1.0), 0.0)
    if picture.sum() == 0.0:
        return float("inf")
    p, q = clipped / clipped.sum(), picture / picture.sum()
    held = p > 0
    # A clipped bin without a picture costs as much as a nearly impossible event, not infinitely much.
    return float(np.sum(p[held] * np.log(p[held] / np.maximum(q[held], 1e-9))))
