"""What candidates promise, ranked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..record.arrays import Floats, Integers


@dataclass(frozen=True, kw_only=True)
class Prospects:
    """Rows with any expected gain, best rate first. `gain` is what they are ranked by; `hoped` is that of the
    first with the whole deviation that the model states."""

    rows: Integers
    gain: Floats
    hoped: float
    seconds: Floats
    means: Floats
    deviations: Floats
    volume: float

    @classmethod
    def none(cls, volume: float) -> Prospects:
        """No row promises anything."""
        empty, rows = np.empty(0), np.empty(0, dtype=np.int64)
        return cls(
            rows=rows, gain=empty, hoped=0.0, seconds=empty, means=empty, deviations=empty, volume=volume
        )
