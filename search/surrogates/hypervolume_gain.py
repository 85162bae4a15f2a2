"""How much a candidate is expected to add to the hypervolume, in closed form.

Everything but the quality is known (or predicted closely), so the expectation runs over one uncertain
dimension: the space that no known point dominates is cut into boxes, and in each box the gain is a product of
known widths and of an expected improvement (Jones et al. 1998) of the quality between the box's two ends.
Boxes as in Emmerich et al. 2011 and Yang et al. 2019; with all but one dimension certain no sampling is left.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import log_ndtr, ndtr

from ..record.arrays import Floats, Integers

AT_ONCE = 1 << 15
"""Numbers that are worked on together: more would not fit into the processor's cache."""
NEGLIGIBLE = 1e-12
"""Of the largest volume of a layer: what is left of a smaller one is rounding."""
LARGE_POWER = 600.0


@dataclass(frozen=True, kw_only=True)
class Boxes:
    """Disjoint boxes [boxes, objectives] that fill the space not dominated; smaller is better on all axes."""

    lower: Floats
    upper: Floats


def undominated(costs: Floats, corner: Floats) -> Boxes:
    """Cut the space below `corner` [objectives] that none of `costs` [points, objectives] dominates."""
    whole = Boxes(lower=np.full((1, len(corner)), -np.inf), upper=corner[None, :].copy())
    return beyond(whole, costs[(costs < corner).all(axis=1)] if len(costs) else costs)


def beyond(boxes: Boxes, points: Floats) -> Boxes:
    """What is left of boxes where points [points, objectives] dominate some of them."""
    lower, upper = boxes.lower, boxes.upper
    for point in points[np.lexsort(points.T)] if len(points) else ():
        hit = (upper > point).all(axis=1)
        if hit.any():
            pieces = _cut(lower[hit], upper[hit], point)
            lower = np.concatenate([lower[~hit], *(piece[0] for piece in pieces)])
            upper = np.concatenate([upper[~hit], *(piece[1] for piece in pieces)])
    return Boxes(lower=lower, upper=upper)


def with_point(front: Floats, point: Floats) -> Floats:
    """The front with one point more; the same array where another is as good on all axes."""
    if (front <= point).all(axis=1).any():
        return front
    return np.concatenate([front[~(point <= front).all(axis=1)], point[None, :]])


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

    def take(self, rows: Integers) -> Quality:
        """Some of the rows."""
        chance, ceiling = (
            np.asarray(each)[rows] if np.ndim(each) else each for each in (self.chance, self.ceiling)
        )
        return replace(
            self, mean=self.mean[rows], deviation=self.deviation[rows], chance=chance, ceiling=ceiling
        )

    def feasible(self) -> Floats:
        """Probability that the goodness is at least `least`."""
        if np.isinf(self.least):
            return np.ones_like(self.mean) * self.chance
        if self.least >= self.top:
            return np.zeros_like(self.mean)
        found: Floats = ndtr((np.log(self.top - self.least) - self.mean) / self.deviation) * self.chance
        return np.where(np.asarray(self.ceiling) < self.least, 0.0, found)

    def above(self, level: Floats | float, beyond: Floats | float | None = None) -> Floats:
        """Expected amount by which a candidate that meets the limits is above `level` (one, or [rows]).

        `beyond` is what `beyond_ceiling` gives, for those who have it already.
        """
        level = np.asarray(level, dtype=float)
        start = np.where(np.isfinite(level), np.maximum(level, self.least), 0.0)
        beyond = self.beyond_ceiling() if beyond is None else beyond
        found = (self._improvement(start) - beyond) * self.chance
        if np.isfinite(self.least):
            found = found + (start - np.where(np.isfinite(level), level, 0.0)) * self.feasible()
        worth = np.isfinite(level) & (start <= np.asarray(self.ceiling))
        return np.where(worth, np.maximum(found, 0.0), 0.0)

    def beyond_ceiling(self) -> Floats | float:
        """Expected amount above the ceiling, if there were none."""
        return 0.0 if np.all(np.isinf(self.ceiling)) else self._improvement(self.ceiling)

    def _improvement(self, level: Floats | float) -> Floats:
        """Expected amount above a level: a put option on a log-normal price (Black and Scholes 1973)."""
        distance = np.maximum(self.top - np.asarray(level, dtype=float), 1e-300)
        d = (np.log(distance) - self.mean) / self.deviation
        power = self.mean + self.deviation**2 / 2
        if power.max(initial=0.0) < LARGE_POWER:
            inside = np.exp(power) * ndtr(d - self.deviation)
        else:  # one exponential of a sum: a wide deviation alone would overflow
            inside = np.exp(power + log_ndtr(d - self.deviation))
        found = distance * ndtr(d) - inside
        return np.where(np.asarray(level) < self.top, np.maximum(found, 0.0), 0.0)


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What candidates would dominate if their quality were good enough, whatever is believed of it.

    Pairs of a `level` of the quality and a `row` of the candidates, only where there is any volume: what lies
    above the level counts `weight` times. A `level` of None: whatever meets the limits counts.
    """

    rows: int
    row: Integers
    weight: Floats
    level: Floats | None

    def gain(self, quality: Quality) -> Floats:
        """Expected growth of the hypervolume [rows] if each candidate were evaluated next."""
        total = np.zeros(self.rows)
        if self.level is None:
            total[self.row] = self.weight * quality.take(self.row).feasible()
            return total
        beyond = np.broadcast_to(quality.beyond_ceiling(), (self.rows,))
        for start in range(0, len(self.row), AT_ONCE):
            part = slice(start, start + AT_ONCE)
            row = self.row[part]
            gained = self.weight[part] * quality.take(row).above(self.level[part], beyond[row])
            total += np.bincount(row, weights=gained, minlength=self.rows)
        return np.maximum(total, 0.0)


def reach_of(boxes: Boxes, hardware: Floats, *, objective: bool = True) -> Reach:
    """`hardware` [rows, objectives but the quality] are known costs. With `objective`, the first axis of the
    boxes is the quality, as minus its goodness; without, the quality only decides whether limits are met."""
    if not objective:
        volume = _volumes(boxes, hardware, 0).sum(axis=0)
        row = np.flatnonzero(volume)
        return Reach(rows=len(hardware), row=row, weight=volume[row], level=None)
    ends, weights = _weights(boxes, hardware)
    amounts = np.abs(weights)
    places, row = np.nonzero(amounts > NEGLIGIBLE * amounts.max(initial=0.0))
    return Reach(rows=len(hardware), row=row, weight=weights[places, row], level=-ends[places])


def expected_gain(boxes: Boxes, hardware: Floats, quality: Quality, *, objective: bool = True) -> Floats:
    """Expected growth of the hypervolume [rows]; `reach_of` once for several beliefs of the same rows."""
    return reach_of(boxes, hardware, objective=objective).gain(quality)


def _volumes(boxes: Boxes, hardware: Floats, first: int) -> Floats:
    """[boxes, rows] what a candidate dominates of each box, on the axes from `first` on."""
    found = np.ones((len(boxes.lower), len(hardware)))
    for axis, costs in enumerate(hardware.T, start=first):
        widths = boxes.upper[:, axis, None] - np.maximum(boxes.lower[:, axis, None], costs)
        found *= np.maximum(widths, 0.0, out=widths)
    return found


def _weights(boxes: Boxes, hardware: Floats) -> tuple[Floats, Floats]:
    """The finite levels of quality at which boxes end, and [levels, rows] what the amount above each counts.

    A level ends one layer of boxes and begins the next: what lies above it is worked out once for both.
    """
    ends, places = np.unique(np.stack([boxes.lower[:, 0], boxes.upper[:, 0]]), return_inverse=True)
    low, high = places.reshape(2, -1)
    sides = np.zeros((len(ends), len(boxes.lower)))
    each = np.arange(len(boxes.lower))
    np.add.at(sides, (high, each), 1.0)
    np.subtract.at(sides, (low, each), 1.0)
    sides, ends = sides[np.isfinite(ends)], ends[np.isfinite(ends)]
    step = max(1, AT_ONCE // max(1, len(each)))
    parts = [sides @ _volumes(boxes, hardware[row : row + step], 1) for row in range(0, len(hardware), step)]
    return ends, np.concatenate(parts, axis=1) if parts else np.zeros((len(ends), 0))
