"""Dominance under measurement error, fronts and exact hypervolume. Pure functions over numbers.

A point is one quantity per objective, each of them finite; `higher` says, per objective, whether larger
values are better. Two scores over the same samples differ where the interval of their paired difference
leaves out 0, any other two values where their intervals do not overlap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...profiles.quantity import Quantity
from ..record.arrays import Flags, Floats
from ..record.samples import difference, paired

Point = Sequence[Quantity]


def better(a: Quantity, b: Quantity, higher: bool) -> bool:
    """Whether `a` is better than `b` beyond error."""
    gap = difference(a, b)
    low, high = (a.ends[0] - b.ends[1], a.ends[1] - b.ends[0]) if gap is None else gap.ends
    return low > 0 if higher else high < 0


def overlap(a: Quantity, b: Quantity) -> bool:
    """Whether the two cannot be told apart."""
    return not better(a, b, True) and not better(b, a, True)


def tied(a: Point, b: Point) -> bool:
    """Whether the two points cannot be told apart on any objective."""
    return all(overlap(x, y) for x, y in zip(a, b, strict=True))


def dominates(a: Point, b: Point, higher: Sequence[bool]) -> bool:
    """Whether `a` is at least as good as `b` on every objective, and better beyond error on at least one.

    "At least as good" compares the values themselves. If overlapping intervals were enough there, a chain
    of small losses, each within error, would leave nothing but the fastest and least accurate point.
    """
    axes = list(zip(a, b, higher, strict=True))
    as_good = all(x.value >= y.value if up else x.value <= y.value for x, y, up in axes)
    return as_good and any(better(x, y, up) for x, y, up in axes)


def front(points: Sequence[Point], higher: Sequence[bool]) -> list[int]:
    """Indices of the points that none other dominates, ascending; never empty for a non-empty set."""
    if not points:
        return []
    signs = np.where(np.asarray(higher, dtype=bool), -1.0, 1.0)
    cost = np.array([[e.value for e in point] for point in points]) * signs
    as_good = (cost[:, None, :] <= cost[None, :, :]).all(axis=-1)
    surely_better = np.zeros_like(as_good)
    for axis, up in enumerate(higher):
        surely_better |= _better_pairs([point[axis] for point in points], up)
    beaten = (as_good & surely_better).any(axis=0)  # the relation of `dominates`, for all pairs at once
    return [int(i) for i in np.flatnonzero(~beaten)]


def _better_pairs(values: Sequence[Quantity], higher: bool) -> Flags:
    """`better` of value i and value j, for all pairs at once."""
    low, high = np.array([value.ends for value in values]).T
    found = low[:, None] > high[None, :] if higher else high[:, None] < low[None, :]
    for group in paired(values):
        found[np.ix_(group.index, group.index)] = group.low > 0 if higher else group.high < 0
    return np.asarray(found)


Values = Sequence[float] | Floats


def hypervolume(points: Sequence[Values], reference: Values, higher: Sequence[bool]) -> float:
    """Exact volume between the points and the reference point, in the product of the objectives' units.

    Points that are not better than the reference on every objective add nothing.

    Raises:
        ValueError: the numbers of objectives differ, or a number is not finite.
    """
    signs = np.where(np.asarray(higher, dtype=bool), -1.0, 1.0)
    corner = np.asarray(reference, dtype=float) * signs
    costs = [np.asarray(point, dtype=float) for point in points]
    if any(cost.shape != corner.shape for cost in costs):
        raise ValueError(f"every point needs {len(corner)} objectives, as the reference point has")
    if not all(np.isfinite(cost).all() for cost in [*costs, corner]):
        raise ValueError("a hypervolume needs finite numbers")
    inside = {tuple(float(x) for x in cost * signs) for cost in costs if (cost * signs < corner).all()}
    return _volume(_minima(inside), tuple(float(x) for x in corner))


Cost = tuple[float, ...]  # smaller is better on every axis


def _minima(costs: set[Cost]) -> list[Cost]:
    """The costs that no other one is at least as good as on every axis."""
    kept: list[Cost] = []
    for cost in sorted(costs):
        if not any(all(k <= c for k, c in zip(other, cost, strict=True)) for other in kept):
            kept.append(cost)
    return kept


def _volume(costs: list[Cost], corner: Cost) -> float:
    """Volume by slices along the last axis: each slice is a volume with one axis fewer."""
    if not costs:
        return 0.0
    if len(corner) == 1:
        return corner[0] - min(cost[0] for cost in costs)
    ordered = sorted(costs, key=lambda cost: cost[-1])
    total = 0.0
    for index, cost in enumerate(ordered):
        end = ordered[index + 1][-1] if index + 1 < len(ordered) else corner[-1]
        if end > cost[-1]:
            base = _minima({other[:-1] for other in ordered[: index + 1]})
            total += (end - cost[-1]) * _volume(base, corner[:-1])
    return total


def hypervolume_history(
    points: Sequence[Values | None], spent: Sequence[float], reference: Values, higher: Sequence[bool]
) -> list[tuple[float, float]]:
    """Hypervolume after each evaluation against what was spent until then: `(cumulative spent, volume)`.

    `points` and `spent` are in the order of evaluation; None stands for one that gave no usable point
    (gated, failed, over a limit) and still cost something.
    """
    signs = np.where(np.asarray(higher, dtype=bool), -1.0, 1.0)
    history: list[tuple[float, float]] = []
    kept = np.empty((0, len(signs)))  # costs of the points that no later one has beaten so far
    total = volume = 0.0
    for point, cost in zip(points, spent, strict=True):
        total += cost
        if point is not None:
            new = np.asarray(point, dtype=float) * signs
            if not (kept <= new).all(axis=1).any():
                kept = np.vstack([kept[~(new <= kept).all(axis=1)], new])
                volume = hypervolume([*(kept * signs)], reference, higher)
        history.append((total, volume))
    return history
