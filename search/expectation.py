"""How much each candidate is expected to bring per second, best first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .gain import Boxes, Quality, reach_of
from .goal import Goal
from .knowledge import Knowledge
from .surrogate import Inputs, Prediction, Surrogate
from .usefulness import chance_to_work

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

MOST_KNOWN = 256
"""Observations that the model of quality is fitted to."""
SHORTLIST = 256
"""Candidates that are judged by all parts of the model; the others by its likeliest part alone."""
CLOSELY = 24
"""Of the best, the bound on the quality is asked for."""
MANY, REFRESH = 128, 1.02
"""From so many observations on, one more changes little: all candidates are looked at only when so many times
the observations are there, and those that were best then in between."""
KEPT = 8 * SHORTLIST
CLIPPED = 0.25
"""Of the range between corner and best quality: what lies further below the corner is of no interest."""
HEADROOM = 0.5
"""The quality is not expected to go further beyond the best one, as a share of the range from the corner."""
LEAST_SPREAD = 0.3  # of the logarithm of the distance to the top, before the data says anything
TRUST_FROM, DISTRUST = 20, 1.15
"""From so many known candidates on, a squared error so many times that of a constant is too large."""
LEAST_PROBABLE = 0.02


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """Rows with any expected gain, best rate first."""

    rows: NDArray[np.int64]
    gain: Floats
    rate: Floats
    seconds: Floats
    means: Floats
    deviations: Floats
    volume: float


class Expectation:
    """Ranks the pool by expected gain per expected second; the model of the quality is fitted every time."""

    def __init__(self, knowledge: Knowledge, goal: Goal) -> None:
        self.knowledge, self.goal = knowledge, goal
        self.trusted = True
        """Whether known candidates, each left out, are predicted better than by a constant."""
        self._surrogate, self._top = Surrogate(), 1.0
        self._chance = self._factor = np.ones(len(knowledge.pool))
        self._kept, self._kept_at = np.empty(0, dtype=np.int64), 0.0

    def rank(self) -> Ranking:
        """Every candidate that may bring something, best first; empty before anything was scored."""
        known = self.knowledge
        boxes, volume = self.goal.boxes()
        probable, seconds = self.goal.probable(), known.seconds()
        rows = np.flatnonzero(known.open() & (probable > LEAST_PROBABLE))
        if not len(rows) or not np.isfinite(known.best_goodness):
            return _nothing(volume)
        inputs = known.inputs()
        self._fit(inputs)
        rows = self._shortlist(boxes, rows, inputs, probable / seconds)
        found = self._surrogate.predict(inputs.take(rows))
        gain = self._gain(boxes, rows, found) * probable[rows]
        order = np.argsort(-gain / seconds[rows], kind="stable")
        few = order[:CLOSELY]
        bounded = self._gain(boxes, rows[few], found.take(few), self._bounds(rows[few]))
        gain[few] = bounded * probable[rows[few]]
        order = np.argsort(-gain / seconds[rows], kind="stable")
        order = order[gain[order] > 0]
        rows, gain = rows[order], gain[order]
        return Ranking(
            rows=rows,
            gain=gain,
            rate=gain / seconds[rows],
            seconds=seconds[rows],
            means=found.mean[order],
            deviations=found.deviation[order] * self._factor[rows],
            volume=volume,
        )

    def _shortlist(self, boxes: Boxes, rows: Integers, inputs: Inputs, worth: Floats) -> Integers:
        """The best by a rough look; with many observations, of those that were best a short while ago."""
        count = len(self.knowledge.observed)
        if count <= MANY or count >= REFRESH * self._kept_at:
            self._look_nearby(rows if count <= MANY else rows[:0], inputs)
            self._kept, self._kept_at = self._roughly_best(boxes, rows, inputs, worth)[:KEPT], count
            chosen = self._kept[:SHORTLIST]
        else:
            left = self._kept[np.isin(self._kept, rows)][: 2 * SHORTLIST]
            chosen = self._roughly_best(boxes, left, inputs, worth)[:SHORTLIST]
        if count > MANY:
            self._look_nearby(chosen, inputs)
        return chosen

    def _roughly_best(self, boxes: Boxes, rows: Integers, inputs: Inputs, worth: Floats) -> Integers:
        rough = self._gain(boxes, rows, self._surrogate.predict(inputs.take(rows), parts=1))
        return rows[np.argsort(-rough * worth[rows], kind="stable")]

    def _look_nearby(self, rows: Integers, inputs: Inputs) -> None:
        if len(rows):
            chance, self._factor[rows] = self._surrogate.nearby(inputs.take(rows))
            self._chance[rows] *= chance

    def _fit(self, inputs: Inputs) -> None:
        known = self.knowledge
        rows = np.array(sorted(known.observed, key=lambda r: -known.observed[r][0]), dtype=np.int64)
        if len(rows) > MOST_KNOWN:  # the best half, and a spread of the others
            rest = rows[MOST_KNOWN // 2 :]
            picked = np.linspace(0, len(rest) - 1, MOST_KNOWN - MOST_KNOWN // 2).astype(int)
            rows = np.concatenate([rows[: MOST_KNOWN // 2], rest[picked]])
        values = np.array([known.observed[int(row)][0] for row in rows])
        noise = np.array([known.observed[int(row)][1] for row in rows])
        corner, best = self.goal.corner_goodness(), known.best_goodness
        reach = best - corner
        values = np.maximum(values, corner - CLIPPED * reach)
        self._top = best + HEADROOM * reach
        distances = np.log(np.maximum(self._top - values, 1e-3 * reach))
        self._surrogate.fit(inputs.take(rows), distances, noise, spread=LEAST_SPREAD)
        self._chance, self._factor = self._usefulness(rows, values >= corner), np.ones(len(known.pool))
        if len(rows) >= TRUST_FROM:
            predicted, found = self._surrogate.left_out()
            constant = (found.sum() - found) / (len(found) - 1)
            errors = ((predicted - found) ** 2).mean(), ((constant - found) ** 2).mean()
            self.trusted = bool(errors[0] <= DISTRUST * errors[1])

    def goodness(self, middle: float, deviation: float) -> tuple[float, float, float]:
        """What a prediction says of the goodness: value, and the ends of the 95 % interval."""
        value, low, high = (self._top - np.exp(middle + z * deviation) for z in (0.0, 1.96, -1.96))
        return float(value), float(low), float(high)

    def _usefulness(self, rows: NDArray[np.int64], works: Flags) -> Floats:
        """[pool] probability that a candidate is of any use, by its size."""
        sizes = self.knowledge.sizes()
        return (
            np.ones(len(self.knowledge.pool)) if sizes is None else chance_to_work(sizes[rows], works, sizes)
        )

    def _gain(
        self, boxes: Boxes, rows: Integers, found: Prediction, ceiling: Floats | float | None = None
    ) -> Floats:
        """Expected growth of the hypervolume [rows], over all parts of what was `found` of them."""
        objective, total = self.knowledge.quality_is_objective, np.zeros(len(rows))
        reach = reach_of(boxes, self.goal.costs(rows), objective=objective)
        for mean, deviation, weight in zip(found.means, found.deviations, found.weights, strict=True):
            quality = Quality(
                mean=mean,
                deviation=deviation * self._factor[rows],
                top=self._top,
                chance=self._chance[rows],
                ceiling=self.goal.ceiling if ceiling is None else ceiling,
                least=self.goal.least(),
            )
            total += weight * reach.gain(quality)
        return total

    def _bounds(self, rows: Integers) -> Floats:
        """[rows] the goodness that less compressed relatives allow; asking takes a while, for a few only."""
        known = self.knowledge
        macs = known.hardware_of("macs")[rows]
        asked = [
            known.facts.ceiling(known.pool.candidates[int(row)], None if np.isnan(m) else float(m))
            for row, m in zip(rows, macs, strict=True)
        ]
        ceiling = np.array([np.inf if value is None else known.sign * value for value in asked])
        found: Floats = np.minimum(ceiling, self.goal.ceiling)
        return found


def _nothing(volume: float) -> Ranking:
    empty = np.empty(0)
    rows = np.empty(0, dtype=np.int64)
    return Ranking(
        rows=rows, gain=empty, rate=empty, seconds=empty, means=empty, deviations=empty, volume=volume
    )
