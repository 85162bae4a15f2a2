"""Which calibration samples an artifact is made with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...record.candidate import Candidate
from ...record.treatment import Treatment
from ...workload.workload import Array


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Calibration samples (axis 0), how many were asked for (0: all there are), and which draw they are."""

    data: dict[str, Array]
    count: int
    draw: int


def drawn(calibration: Mapping[str, Array], candidate: Candidate, treatment: Treatment) -> Drawn:
    """The samples for a candidate: the first ones, or a random draw without replacement.

    Where the split has no more samples than asked for, it is taken whole, and a draw means nothing. Where no
    ranges are taken from it, it is taken whole too: the artifact is still compared on it.
    """
    if not candidate.precision.decoded.calibrated:
        return Drawn(data=dict(calibration), count=0, draw=0)
    count = treatment.calibration_samples or candidate.calibration_samples
    total = len(next(iter(calibration.values())))
    if not treatment.calibration_draw or not 0 < count < total:
        return Drawn(
            data={n: array[: count or None] for n, array in calibration.items()}, count=count, draw=0
        )
    rng = np.random.default_rng(treatment.calibration_draw)
    rows = np.sort(rng.choice(total, size=count, replace=False))
    data = {name: array[rows] for name, array in calibration.items()}
    return Drawn(data=data, count=count, draw=treatment.calibration_draw)
