"""What a search is after: limits, the corner of the hypervolume, and the space that is not dominated yet."""

from __future__ import annotations

import numpy as np

from ..record.arrays import Flags, Floats, Integers
from ..surrogates.hypervolume_gain import Boxes, undominated
from .knowledge import Knowledge

WORST = 0.1
"""The corner lies so far below the best quality, where nothing else was said: of 1 for a share, else of its
amount."""


class Goal:
    """Read from a `Knowledge`, which grows."""

    def __init__(self, knowledge: Knowledge) -> None:
        self.knowledge = knowledge
        self._share, self._reference = knowledge.scale.is_share, dict(knowledge.problem.reference)
        self._cut: tuple[Floats, Floats, Boxes, float] | None = None  # corner, front, and what follows

    def least(self) -> float:
        """The goodness that limits on the quality ask for."""
        scale = self.knowledge.scale
        asked = scale.asked_by(self.knowledge.facts.limits)
        return max((scale.goodness(limit.bound) for limit in asked), default=-np.inf)

    def corner_goodness(self) -> float:
        """The goodness from which on a candidate is worth something."""
        known = self.knowledge
        if known.quality in self._reference:
            return known.scale.goodness(self._reference[known.quality])
        best = known.best_goodness if np.isfinite(known.best_goodness) else 1.0
        least = self.least()
        if np.isfinite(least):
            return least - max(best - least, 0.01 if self._share else 0.01 * abs(least), 1e-9)
        return best - (WORST if self._share else max(WORST * abs(best), 1e-9))

    def _corner(self) -> Floats:
        """Worst values of the objectives: the stated ones, else limits, else the baselines' worst."""
        known = self.knowledge
        ends = [-self.corner_goodness()] if known.quality_is_objective else []
        return np.array([*ends, *map(self._worst, known.hardware_objectives)])

    def _worst(self, name: str) -> float:
        """As a cost."""
        known = self.knowledge
        if name in self._reference:
            return float(known.as_cost(name, self._reference[name]))
        worse_above = bool(known.as_cost(name, 1.0) > 0)
        own = (limit for limit in known.facts.limits if limit.metric == name)
        limits = [limit.bound for limit in own if limit.upper == worse_above]
        worst = [point[name] for point in known.baseline_points if name in point]
        if limits or worst:
            return float(known.as_cost(name, limits).min() if limits else known.as_cost(name, worst).max())
        measured = known.as_cost(name, known.hardware_of(name))
        return float(np.fmax.reduce(measured))  # NaN where nothing was measured

    def boxes(self) -> tuple[Boxes, float]:
        """The space not dominated yet, and the volume of what is."""
        corner, front = self._corner(), self.knowledge.front
        if self._cut is None or front is not self._cut[1] or not np.array_equal(corner, self._cut[0]):
            self._cut = (corner, front, *self._cut_out(front, corner))
        return self._cut[2], self._cut[3]

    def _cut_out(self, points: Floats, corner: Floats) -> tuple[Boxes, float]:
        boxes = undominated(points, corner)
        inside = points[(points < corner).all(axis=1)]
        if not len(inside):
            return boxes, 0.0
        ideal = inside.min(axis=0)
        free = np.maximum(boxes.upper - np.maximum(boxes.lower, ideal), 0.0).prod(axis=1).sum()
        return boxes, float((corner - ideal).prod() - free)

    def points(self, rows: Integers, goodness: Floats, chance: Floats) -> Floats:
        """[some rows, objectives] where rows of this goodness would lie that are likely to be of use."""
        known, costs = self.knowledge, self.costs(rows)
        goodness = np.minimum(goodness, known.scale.best)
        likely = (chance * self.probable()[rows] > 0.5) & (goodness >= self.least())
        likely &= ~np.isnan(costs).any(axis=1)
        whole = np.column_stack([-goodness, costs]) if known.quality_is_objective else costs
        found: Floats = whole[likely]
        return found

    def costs(self, rows: Integers) -> Floats:
        """[rows, objectives but the quality]; less is better."""
        known = self.knowledge
        columns = [known.as_cost(n, known.hardware_of(n)[rows]) for n in known.hardware_objectives]
        return np.stack(columns, axis=1) if columns else np.zeros((len(rows), 0))

    def possible(self) -> Flags:
        """[rows] that are not measured to miss a limit on the device, whatever was predicted of them."""
        known = self.knowledge
        return np.logical_or(~known.hardware.measured[known.pool.classes], self.probable() > 0)

    def probable(self) -> Floats:
        """[rows] probability that the limits on the device are met."""
        from scipy.special import ndtr

        known = self.knowledge
        found = np.ones(len(known.pool.class_candidates))
        for limit in known.facts.limits:
            if limit.metric == known.quality or limit.metric not in known.hardware.metrics:
                continue
            column = known.hardware.metrics.index(limit.metric)
            values = known.hardware.values[:, column]
            sure = ~np.isnan(known.hardware.known[:, column])
            gap = np.log(max(limit.bound, 1e-300)) - np.log(values)
            gap = gap if limit.upper else -gap
            chance = (gap >= 0).astype(float)
            chance[~sure] = ndtr(gap[~sure] / max(known.hardware.errors[column], 1e-6))
            found *= np.where(np.isnan(values), 1.0, chance)
        return found[known.pool.classes]
