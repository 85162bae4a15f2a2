"""How good a training can still become, from the curves of trainings that went to their end."""

from __future__ import annotations

from collections import defaultdict
from math import isfinite

import numpy as np

from ..record.arrays import Floats
from ..record.evaluation import Bound, TrialRecord
from ..record.protocols import Milestone
from ..record.quality import QualityScale
from ..record.training import trainings_ended

LEAST_CURVES = 3
"""With fewer finished trainings of a kind, nothing is said about the next."""
HEADROOM = 1.5
"""A training may gain so many times what any finished one has gained from the same place."""


class LearningCurves:
    """Curves of finished trainings by kind: goodness against the share of the epochs that were done.

    They only tell which trainings are hopeless. No order among candidates may be read from them.
    """

    def __init__(self, scale: QualityScale) -> None:
        self.scale = scale
        self._curves: dict[str, dict[str, tuple[Floats, Floats]]] = defaultdict(dict)

    def learn(self, record: TrialRecord) -> None:
        """Take in the curves of a trial's trainings that came to their end, each training once."""
        for stage in trainings_ended(record.evaluation):
            curve = np.asarray(stage.curve, dtype=float)
            if len(curve) > 1 and np.isfinite(curve).all() and curve[-1, 0] > 0:
                goodness = curve[:, 1] if self.scale.higher_is_better else -curve[:, 1]
                self._curves[stage.name][stage.key] = (curve[:, 0] / curve[-1, 0], goodness)

    def bound(self, milestone: Milestone, margin: float) -> Bound | None:
        """The best quality that the training could end with; None where too little is known.

        It is the quality there, `HEADROOM` times the largest gain that any finished training of this
        kind made from the same share of its epochs to its end, and `margin`.
        """
        done, now = milestone.curve[-1]
        if not isfinite(now):
            return None
        gains = self._gains(milestone.kind, done / milestone.epochs)
        if len(gains) < LEAST_CURVES:
            return None
        gain = max(0.0, *gains)
        goodness = min(self.scale.goodness(now) + HEADROOM * gain + margin, self.scale.best)
        return Bound(
            value=self.scale.goodness(goodness),
            basis=f"{self.scale.text(now)} after {done} of {milestone.epochs} epochs; none of {len(gains)} "
            f"finished trainings gained more than {self.scale.difference(gain)} from there; "
            f"{HEADROOM:g} times that and {self.scale.difference(margin)} margin",
        )

    def _gains(self, kind: str, share: float) -> list[float]:
        """What each finished training gained from there; those whose curve starts later cannot tell."""
        return [
            float(goodness[-1] - np.interp(share, shares, goodness))
            for shares, goodness in self._curves[kind].values()
            if shares[0] <= share
        ]
