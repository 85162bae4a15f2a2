"""Where a training ends that stands at a milestone, and how sure that is, from the curves of all students.

From milestone to milestone, the logarithm of what a training lacks to the top follows a line with scatter.
Each such step is a Bayesian linear regression over all curves that went it, finished or not (Rasmussen and
Williams 2006, chapter 2): with few curves its prior speaks, which is wide. Steps are chained to the end. What
curves are good for, and that unfinished ones count: Swersky et al. 2014 (freeze-thaw), Wistuba et al. 2022.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..record.arrays import Floats

PRIOR_GAIN, PRIOR_SLOPE = -0.25, 0.85
"""What a training is expected to make of its distance on a way that quadruples its epochs, before any curve
was seen: a shift of the logarithm, and a factor of what that lies above the best known."""
GAIN_SPREAD, SLOPE_SPREAD, SCATTER = 0.5, 0.25, 0.4
"""Standard deviations of the two, and of single trainings around the line."""
SCATTER_WEIGHT = 3.0
"""What the prior on the scatter counts, in curves."""
TURNS = 3
"""So often the line is drawn anew by the scatter that was found around it."""
CERTAIN = 1e-3
"""The deviation of an end that was seen."""
Point = tuple[int, float]


@dataclass(frozen=True, kw_only=True)
class Distances:
    """What goodness is measured by: what lacks to `top`, in units of `reach`, as a logarithm."""

    top: float
    reach: float

    def of(self, goodness: Floats | float) -> Floats:
        """Distances to the top; how close one can be told from the top is limited."""
        lacking = np.maximum(self.top - np.asarray(goodness, dtype=float), 1e-3 * self.reach)
        found: Floats = np.log(lacking / self.reach)
        return found

    def goodness(self, distance: float) -> float:
        """The goodness at a distance."""
        return self.top - self.reach * math.exp(distance)


@dataclass(frozen=True, kw_only=True)
class End:
    """The distance at which a training is expected to end, as a normal distribution."""

    mean: float
    deviation: float

    def goodness(self, scale: Distances) -> tuple[float, float, float]:
        """Value, low and high of the 95 % interval."""
        low, high = (scale.goodness(self.mean + z * self.deviation) for z in (1.96, -1.96))
        return scale.goodness(self.mean), low, high


@dataclass
class CurveEnds:
    """Curves by kind and training: goodness by share of the epochs, 1 is the end."""

    _curves: dict[str, dict[str, Mapping[float, float]]] = field(
        default_factory=lambda: defaultdict(dict), init=False
    )

    def learn(
        self, kind: str, key: str, points: Sequence[Point], epochs: int, *, ended: bool = False
    ) -> None:
        """Take in a training's curve, in goodness. One that `ended` before its last epoch stays as it was."""
        at = {_share(done, epochs): value for done, value in points if done > 0 and math.isfinite(value)}
        if ended and points and math.isfinite(points[-1][1]):
            at = {share: value for share, value in at.items() if share < _share(points[-1][0], epochs)}
            at[1.0] = points[-1][1]
        if at:
            self._curves[kind][key] = at

    def finished(self, kind: str) -> int:
        """How many curves of a kind have an end."""
        return sum(1.0 in curve for curve in self._curves[kind].values())

    def end(self, kind: str, key: str, scale: Distances) -> End | None:
        """Where a training ends; None where nothing was seen of it."""
        curve = self._curves[kind].get(key)
        if not curve:
            return None
        last = max(curve)
        if last == 1.0:
            return End(mean=float(scale.of(curve[last])), deviation=CERTAIN)
        ways = sorted({share for other in self._curves[kind].values() for share in other if share > last})
        mean, variance, start = float(scale.of(curve[last])), 0.0, last
        for share in ways if 1.0 in ways else (*ways, 1.0):
            step = self._step(kind, start, share, scale, leave_out=key)
            mean, variance = step.onwards(mean, variance)
            start = share
        return End(mean=mean, deviation=math.sqrt(variance))

    def _step(self, kind: str, start: float, end: float, scale: Distances, leave_out: str) -> _Step:
        both = [
            (curve[start], curve[end])
            for key, curve in self._curves[kind].items()
            if key != leave_out and start in curve and end in curve
        ]
        known = scale.of(np.array(both, dtype=float).reshape(-1, 2))
        return _Step.fitted(known[:, 0], known[:, 1], math.log(end / start) / math.log(4.0))


@dataclass(frozen=True, kw_only=True)
class _Step:
    """Distances after a step as a line of those before it: coefficients, their covariance, the scatter."""

    line: Floats
    covariance: Floats
    scatter: float

    @classmethod
    def fitted(cls, before: Floats, after: Floats, length: float) -> _Step:
        """The line by its prior and the curves, and the scatter around it, in turns. `length` 1 is a way that
        quadruples the epochs."""
        prior = np.array([PRIOR_GAIN * length, PRIOR_SLOPE**length])
        spreads = np.array([GAIN_SPREAD, SLOPE_SPREAD]) ** 2 * length
        inputs = np.stack([np.ones_like(before), before], axis=1)
        scatter = SCATTER**2 * length
        for _ in range(TURNS):
            precision = np.diag(scatter / spreads)
            inverse = np.linalg.inv(precision + inputs.T @ inputs)
            line = inverse @ (precision @ prior + inputs.T @ after)
            missed = after - inputs @ line
            squares = SCATTER_WEIGHT * SCATTER**2 * length + float(missed @ missed)
            scatter = squares / (SCATTER_WEIGHT + len(before))
        return cls(line=line, covariance=scatter * inverse, scatter=scatter)

    def onwards(self, mean: float, variance: float) -> tuple[float, float]:
        """Mean and variance after the step, of a distance that is known so well."""
        at = np.array([1.0, mean])
        unsure = float(at @ self.covariance @ at) + float(self.covariance[1, 1]) * variance
        return float(at @ self.line), unsure + self.scatter + float(self.line[1]) ** 2 * variance


def _share(done: int, epochs: int) -> float:
    """Of the epochs, so that trainings of one length meet at the same places."""
    return round(done / epochs, 3) if done < epochs else 1.0
