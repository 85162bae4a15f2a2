"""What outputs of one and the same file may differ by between two processors that both compute rightly.

Two sources, whichever gives more room:

- What the precision itself costs: the artifact's own error against the float model on calibration data. A
  device is accused only where its outputs are further from those here than twice that. Then they are also
  further from the float model than the outputs here are (triangle inequality), whatever happened.
- How coarse the numbers are that kernels compute in: kernels of another processor add in another order,
  fuse, and convert at other places. This alone bounds float formats and integer weights with float
  arithmetic, whose kernels may legitimately compute in fewer bits on one of the two (activations rounded to
  int8 or to fp16 on the way).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv

from ....backends.contract.agreement import error_of
from ....profiles.precision import Precision
from ...workload.workload import Array

TIMES_OWN = 2.0
"""Of what the precision costs; beyond it the triangle inequality names the device."""
WORST = 2.5
"""Of what is allowed over all samples, in a single one."""


@dataclass(frozen=True, kw_only=True)
class Grain:
    """How coarse a format is: the share of what differs between samples that is always allowed, and the share
    of the outputs' size (their rounding, where they differ little from sample to sample)."""

    varying: float
    size: float


_EIGHT_BITS = Grain(varying=1e-2, size=4e-3)
_FLOAT_ARITHMETIC = Grain(varying=2e-2, size=4e-3)  # which may be in int8 or fp16 on one of both
GRAINS: Mapping[Precision, Grain] = {
    Precision.FP32: Grain(varying=1e-3, size=1e-5),
    Precision.FP16: Grain(varying=1e-2, size=4e-3),
    Precision.BF16: Grain(varying=2e-2, size=2e-2),
    Precision.INT8_WEIGHT: _FLOAT_ARITHMETIC,
    Precision.INT4_WEIGHT: _FLOAT_ARITHMETIC,
}
UNKNOWN = 5.0
"""So many grains of a coarse format where it is not known what the precision costs."""
_LEAST_VARYING = 1e-3

FLIPS = 0.02
"""Of whole numbers, the share that may differ beyond what the precision changes: close decisions."""
SURE = 1e-3
"""One-sided risk of the exact interval of a share."""
SATURATED, SATURATED_WORST = 0.5, 2.0
"""Where one of both saturates 8-bit sums: what is worse is no model any more (6 dB)."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One output on the device against the one that is wanted; see `Agreement` for the numbers. `beyond`:
    more than two processors that compute rightly differ by."""

    off: float
    allowed: float
    worst: float
    worst_allowed: float
    own: float | None
    beyond: bool
    flipped: int | None = None

    @property
    def room(self) -> float:
        """How often the difference fits into what is allowed; below 1 it does not."""
        shares = ((self.off, self.allowed), (self.worst, self.worst_allowed))
        return min(allowed / max(found, 1e-12) for found, allowed in shares)


def difference(
    wanted: Array, got: Array, precision: Precision, own: Mapping[str, float], *, saturates: bool = False
) -> Difference:
    """Compare outputs of equal form for the same samples (axis 0). `own` is the artifact's error against the
    float model in this output (`error_of`; empty: not known), `saturates` that one of both processors
    saturates 8-bit sums and the other does not."""
    found = error_of(wanted, got)
    if wanted.dtype.kind != "f":
        return _of_decisions(wanted, found, own, saturates)
    scale, size = _scale(wanted, got)
    grain = GRAINS.get(precision, _EIGHT_BITS)
    cost = own["rms"] / scale if "rms" in own else None
    least = max(grain.varying, grain.size * size / scale)
    if cost is None and precision is not Precision.FP32:
        least *= UNKNOWN
    allowed = max(least, TIMES_OWN * (cost or 0.0))
    worst_allowed = max(WORST * allowed, TIMES_OWN * own.get("worst", 0.0) / scale)
    if saturates:
        allowed, worst_allowed = max(allowed, SATURATED), max(worst_allowed, SATURATED_WORST)
    off, worst = found["rms"] / scale, found["worst"] / scale
    return Difference(
        off=off,
        allowed=allowed,
        worst=worst,
        worst_allowed=worst_allowed,
        own=cost,
        beyond=off > allowed or worst > worst_allowed,
        flipped=_flipped(wanted, got),
    )


def _scale(wanted: Array, got: Array) -> tuple[float, float]:
    """The size of what differs between samples, and that of the outputs themselves. Both are the latter where
    samples hardly differ, and 1 where all is zero."""
    values = wanted.astype(np.float64)
    size = _rms(values) or _rms(got.astype(np.float64)) or 1.0
    varying = _rms(values - values.mean(axis=0)) if len(values) > 1 else size
    return (varying if varying > _LEAST_VARYING * size else size), size


def _rms(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0


def _of_decisions(
    wanted: Array, found: Mapping[str, float], own: Mapping[str, float], saturates: bool
) -> Difference:
    """Whole numbers flip where scores are close, so their share is believed as far as it is sure."""
    allowed = SATURATED if saturates else FLIPS + TIMES_OWN * own.get("rms", 0.0)
    differ = round(found["rms"] * wanted.size)
    return Difference(
        off=found["rms"],
        allowed=allowed,
        worst=found["worst"],
        worst_allowed=1.0,
        own=own.get("rms"),
        beyond=share_at_least(differ, wanted.size) > allowed,
    )


def _flipped(wanted: Array, got: Array) -> int | None:
    """Samples with another largest score; None where the outputs are no scores."""
    if wanted.ndim != 2 or wanted.shape[1] < 2:
        return None
    return int((wanted.argmax(axis=1) != got.argmax(axis=1)).sum())


def share_at_least(hits: int, count: int, risk: float = SURE) -> float:
    """The lower end of the exact interval of a share (Clopper and Pearson 1934)."""
    return float(betaincinv(hits, count - hits + 1, risk)) if hits else 0.0


def share_at_most(hits: int, count: int, risk: float = SURE) -> float:
    """Its upper end."""
    return float(betaincinv(hits + 1, count - hits, 1 - risk)) if hits < count else 1.0
