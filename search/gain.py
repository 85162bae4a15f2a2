"""How much a candidate is expected to add to the hypervolume, in closed form.

Everything but the quality is known (or predicted closely), so the expectation runs over one uncertain
dimension: the space that no known point dominates is cut into boxes, and in each box the gain is a product of
known widths and of an expected improvement (Jones et al. 1998) of the quality between the box's two ends.
Boxes as in Emmerich et al. 2011 and Yang et al. 2019; with all but one dimension certain no sampling is left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Boxes:
    """Disjoint boxes [boxes, objectives] that fill the space not dominated; smaller is better on all axes."""

    lower: Floats
    upper: Floats


def undominated(costs: Floats, corner: Floats) -> Boxes:
    """Cut the space below `corner` [objectives] that none of `costs` [points, objectives] dominates."""
    lower, upper = np.full((1, len(corner)), -np.inf), corner[None, :].copy()
    inside = costs[(costs < corner).all(axis=1)] if len(costs) else costs
    for point in inside[np.lexsort(inside.T)] if len(inside) else ():
        hit = (upper > point).all(axis=1)
        if hit.any():
            pieces = _cut(lower[hit], upper[hit], point)
            lower = np.concatenate([lower[~hit], *(piece[0] for piece in pieces)])
            upper = np.concatenate([upper[~hit], *(piece[1] for piece in pieces)])
    return Boxes(lower=lower, upper=upper)


def _cut(lower: Floats, upper: Floats, point: Floats) -> list[tuple[Floats, Floats]]:
    """The boxes without what the point dominates: one piece per axis on which it lies before the point."""
    pieces, beyond = [], lower.copy()
    for axis, value in enumerate(point):
        left = lower[:, axis] < value
        ends = upper[left].copy()
        ends[:, axis] = value
        pieces.append((beyond[left].copy(), ends))
        beyond[:, axis] = np.maximum(lower[:, axis], value)
    return pieces


@dataclass(frozen=True, kw_only=True)
class Quality:
    """Beliefs about the goodness (higher is better) of candidates.

    The distance from `top` is log-normal: `mean` and `deviation` [rows] are those of its logarithm. Qualities
    are crowded near their best and have a long tail downwards, which a normal distribution would mirror into
    hopes that never come true. `chance` [rows] is the probability that the candidate works at all; no
    candidate is better than `ceiling` (one for all, or [rows]); below `least` it misses a limit and is worth
    nothing.
    """

    mean: Floats
    deviation: Floats
    top: float
    chance: Floats | float = 1.0
    ceiling: Floats | float = np.inf
    least: float = -np.inf

    def feasible(self) -> Floats:
        """Probability that the goodness is at least `least`."""
        if np.isinf(self.least):
            return np.ones_like(self.mean) * self.chance
        if self.least >= self.top:
            return np.zeros_like(self.mean)
        found: Floats = ndtr((np.log(self.top - self.least) - self.mean) / self.deviation) * self.chance
        return np.where(np.asarray(self.ceiling) < self.least, 0.0, found)

    def above(self, level: float) -> Floats:
        """Expected amount by which a candidate that meets the limits is above `level`."""
        if np.isinf(level):
            return np.zeros_like(self.mean)
        start = max(level, self.least)
        found = (self._improvement(start) - self._improvement(self.ceiling)) * self.chance
        if start > level:
            found = found + (start - level) * self.feasible()
        return np.where(start <= np.asarray(self.ceiling), np.maximum(found, 0.0), 0.0)

    def _improvement(self, level: Floats | float) -> Floats:
        """Expected amount above a level: a put option on a log-normal price (Black and Scholes 1973)."""
        distance = np.maximum(self.top - np.asarray(level, dtype=float), 1e-300)
        d = (np.log(distance) - self.mean) / self.deviation
        # One exponential of a sum: a wide deviation alone would overflow.
        inside = np.exp(self.mean + self.deviation**2 / 2 + log_ndtr(d - self.deviation))
        found = distance * ndtr(d) - inside
        return np.where(np.asarray(level) < self.top, np.maximum(found, 0.0), 0.0)


def expected_gain(boxes: Boxes, hardware: Floats, quality: Quality, *, objective: bool = True) -> Floats:
    """Expected growth of the hypervolume [rows] if each candidate were evaluated next.

    `hardware` [rows, objectives but the quality] are known costs. With `objective`, the first axis of the
    boxes is the quality, as minus its goodness; without, the quality only decides whether limits are met.
    """
    first = 1 if objective else 0
    # Boxes between the same two levels of quality are summed before the expectation is taken.
    levels, which = _levels(boxes) if objective else (np.empty((1, 2)), np.zeros(len(boxes.lower), int))
    volumes = np.zeros((len(levels), len(hardware)))
    for box in range(len(boxes.lower)):
        widths = boxes.upper[box, first:] - np.maximum(boxes.lower[box, first:], hardware)
        volumes[which[box]] += np.maximum(widths, 0.0).prod(axis=1)
    if not objective:
        found: Floats = volumes[0] * quality.feasible()
        return found
    # Each level ends one layer of boxes and begins the next: what lies above it is worked out once.
    ends, places = np.unique(levels, return_inverse=True)
    weights = np.zeros((len(ends), len(hardware)))
    for (low, high), volume in zip(places.reshape(-1, 2), volumes, strict=True):
        weights[high] += volume
        weights[low] -= volume
    total = np.zeros(len(hardware))
    for end, weight in zip(ends, weights, strict=True):
        if np.isfinite(end) and weight.any():
            total += weight * quality.above(-end)
    return np.maximum(total, 0.0)


def _levels(boxes: Boxes) -> tuple[Floats, NDArray[np.int64]]:
    ends = np.column_stack([boxes.lower[:, 0], boxes.upper[:, 0]])
    levels, which = np.unique(ends, axis=0, return_inverse=True)
    return levels, which.reshape(-1)
