"""How much each candidate is expected to bring per second, best first."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..record.arrays import Flags, Floats, Integers
from ..surrogates.curve_ends import Distances, End
from ..surrogates.hypervolume_gain import Boxes, Quality, beyond, reach_of
from ..surrogates.kernel import Inputs
from ..surrogates.one_thread import in_one_thread
from ..surrogates.quality_model import Surrogate
from ..surrogates.quality_prediction import Beliefs, look
from ..surrogates.smallest_useful import chance_to_work
from .knowledge import Knowledge
from .prospects import Prospects
from .sought import Goal
from .thawed import ExpectedEnds, Thaw

MOST_KNOWN = 256
"""Observations that the model of quality is fitted to."""
SHORTLIST = 256
"""Candidates that are judged by all parts of the model; the others by its likeliest part alone."""
CLOSELY = 24
"""Of the best, the bound on the quality is asked for."""
FEW, MANY = 24, 128
"""Up to so many observations a measurement is a reason to fit the model and to look at all candidates: sizes
are known better then; up to so many an observation is. Doing so less often cost trainings in the replay."""
REFRESH, MOST_ADDED = 1.03, 32
"""From then on all are looked at when so many times the observations are there, or so many more."""
WATCHED = 2 * SHORTLIST
CLIPPED = 0.25
"""Of the range between corner and best quality: what lies further below the corner is of no interest."""
HEADROOM = 0.5
"""The quality is not expected to go further beyond the best one, as a share of the range from the corner."""
HOPE = 2.4
"""The best of n gains is mostly the most overrated one, by about sqrt(2 ln n) deviations. Where that exceeds
this number, candidates are ranked with deviations that are narrower by the square of how far it does."""
LEAST_SPREAD = 0.3  # of the logarithm of the distance to the top, before the data says anything
TRUST_FROM, DISTRUST = 20, 1.15
"""From so many known candidates on, a squared error so many times that of a constant is too large."""
LEAST_PROBABLE = 0.02
CONSTANT = 1e-3
"""The chance of a network to work whose outputs were not seen to depend on any input."""


class Expectation:
    """Ranks the pool by expected gain per expected second.

    The model of the quality is fitted whenever something was scored. In a long study all candidates are
    looked at only now and then; in between, those that looked best are ranked.
    """

    def __init__(self, knowledge: Knowledge, goal: Goal) -> None:
        self.knowledge, self.goal = knowledge, goal
        self.trusted = True
        """Whether known candidates, each left out, are predicted better than by a constant."""
        self._hope = 1.0
        self._surrogate, self._top = Surrogate(), 1.0
        self._believed = self._surrogate  # with what is under way
        self._unfinished = ExpectedEnds(knowledge)
        self._thaw: Thaw | None = None
        self._inputs: Inputs | None = None
        self._count = self._looked_at = self._rewritten = 0
        self._useful = np.ones(len(knowledge.pool))
        self._rows = np.empty(0, dtype=np.int64)  # those that looked best
        self._watched: Beliefs | None = None  # about them, until something is learned

    @in_one_thread
    def rank(self, without: int | None = None) -> Prospects:
        """Every candidate that may bring something, best first; empty before anything was scored. What is
        under way is taken to come to what is expected of it, but for the row `without`."""
        known = self.knowledge
        boxes, volume = self.goal.boxes()
        probable, seconds = self.goal.probable(), known.seconds()
        usable = known.open() & (probable > LEAST_PROBABLE)
        if not usable.any() or not np.isfinite(known.best_goodness):
            return Prospects.none(volume)
        worth = np.where(usable, probable / seconds, 0.0)
        wide = self._learn()
        boxes = self._believing(boxes, without)
        if wide or self._too_few(worth):
            left = np.where(known.left() & (probable > LEAST_PROBABLE), probable / seconds, 0.0)
            self._look_at_all(boxes, left, worth > 0)
        rows, beliefs = self._shortlist(boxes, worth)
        gain = self._gain(boxes, rows, beliefs) * probable[rows]
        few = np.argsort(-gain / seconds[rows], kind="stable")[:CLOSELY]
        bounded = self._gain(boxes, rows[few], beliefs.take(few), self._bounds(rows[few]))
        gain[few] = bounded * probable[rows[few]]
        order = np.argsort(-gain / seconds[rows], kind="stable")
        order = order[gain[order] > 0]
        rows, gain, beliefs = rows[order], gain[order], beliefs.take(order)
        first = np.arange(min(1, len(rows)))
        hoped = self._gain(boxes, rows[first], beliefs.take(first), self._bounds(rows[first]), hope=1.0)
        return Prospects(
            rows=rows,
            gain=gain,
            hoped=float(hoped @ probable[rows[first]]),
            seconds=seconds[rows],
            means=beliefs.quality.mean,
            deviations=beliefs.quality.deviation * beliefs.doubt,
            volume=volume,
        )

    def _too_few(self, worth: Floats) -> bool:
        """Whether too few are watched that may be proposed: while others are under way, many may be held."""
        usable = int(np.count_nonzero(worth[self._rows]))
        few = len(self.knowledge.flight) > 0 and usable < SHORTLIST
        return not usable or (few and usable < int(np.count_nonzero(worth)))

    def _look_at_all(self, boxes: Boxes, worth: Floats, free: Flags) -> None:
        """Keep the best by a rough look; of those that are `free` to be proposed so many."""
        rows = np.flatnonzero(worth)
        rough = self._gain(boxes, rows, self._beliefs(rows, parts=1)) * worth[rows]
        rows = rows[np.argsort(-rough, kind="stable")]
        self._rows = rows[np.cumsum(free[rows]) <= WATCHED]
        self._watched = None

    def _believing(self, boxes: Boxes, without: int | None) -> Boxes:
        """Take what is under way for what is expected of it: the model, and what is left to be gained."""
        before, self._believed = self._believed, self._surrogate
        self._thaw = self._thawed()
        rows = self.knowledge.flight.rows(without)
        if len(rows) or before is not self._surrogate:
            self._watched = None
        if not len(rows):
            return boxes
        beliefs = self._beliefs(rows)
        points = self.goal.points(rows, self._top - np.exp(beliefs.quality.mean), beliefs.chance)
        assert self._inputs is not None
        self._believed = self._surrogate.believing(self._inputs.take(rows))
        return beyond(boxes, points)

    def _beliefs(self, rows: Integers, parts: int | None = None) -> Beliefs:
        found = self._frozen(rows, parts)
        return found if self._thaw is None else self._thaw.applied(found, self.knowledge.pool.models[rows])

    def _frozen(self, rows: Integers, parts: int | None = None) -> Beliefs:
        """Beliefs without what the curves of these very rows tell."""
        assert self._inputs is not None
        found = look(self._believed, self._inputs.take(rows), parts)
        return replace(found, chance=found.chance * self._useful[rows])

    @property
    def distances(self) -> Distances:
        """What goodness is measured by."""
        corner = self.goal.corner_goodness()
        return Distances(top=self._top, reach=self.knowledge.best_goodness - corner)

    def _thawed(self) -> Thaw | None:
        """What curves add to the model's beliefs, as it is fitted now; None where none is unfinished."""
        scale = self.distances
        expected = self._unfinished.now(scale, self.goal.corner_goodness())
        if not expected:
            return None
        beliefs = self._frozen(np.array([one.row for one in expected]))
        return Thaw.of(expected, beliefs, float(np.log(scale.reach)))

    @in_one_thread
    def rates(self, rows: Integers, without: int | None = None) -> Floats:
        """[rows] expected gain per expected second, as `rank` has it, with curves as they stand."""
        boxes = self._believing(self.goal.boxes()[0], without)
        gain = self._gain(boxes, rows, self._beliefs(rows), self._bounds(rows))
        found: Floats = gain * self.goal.probable()[rows] / self.knowledge.seconds()[rows]
        return found

    def _shortlist(self, boxes: Boxes, worth: Floats) -> tuple[Integers, Beliefs]:
        """Of those that looked best, the best by the likeliest part of the model, and beliefs about them."""
        if self._watched is None:
            self._watched = self._beliefs(self._rows)
        places = np.flatnonzero(worth[self._rows])
        rows, whole = self._rows[places], self._watched.take(places)
        rough = self._gain(boxes, rows, whole.likeliest()) * worth[rows]
        best = np.argsort(-rough, kind="stable")[:SHORTLIST]
        return rows[best], whole.take(best)

    def _learn(self) -> bool:
        """Fit the model to what is known, where that is more; whether all candidates are to be looked at."""
        known = self.knowledge
        count = len(known.observed)
        same = count == self._count and known.rewritten == self._rewritten
        if same and count > FEW:
            return False
        wide = (
            known.rewritten != self._rewritten
            or count <= MANY
            or count >= min(REFRESH * self._looked_at, self._looked_at + MOST_ADDED)
        )
        self._looked_at = count if wide else self._looked_at
        self._count, self._rewritten = count, known.rewritten
        self._teach(np.array(self._chosen(), dtype=np.int64))
        return wide

    def _chosen(self) -> list[int]:
        """The rows that the model is fitted to: all, or the best half and a spread of the others."""
        known = self.knowledge
        rows = sorted(known.observed, key=lambda r: -known.observed[r][0])
        if len(rows) > MOST_KNOWN:
            rest = rows[MOST_KNOWN // 2 :]
            picked = np.linspace(0, len(rest) - 1, MOST_KNOWN - MOST_KNOWN // 2).astype(int)
            rows = rows[: MOST_KNOWN // 2] + [rest[place] for place in picked]
        return rows

    def _teach(self, rows: Integers) -> None:
        known = self.knowledge
        self._inputs, self._watched = known.inputs(), None
        different = max(2, len(np.unique(known.networks.alike)))
        self._hope = min(1.0, HOPE**2 / (2 * float(np.log(different))))
        values, noise = np.array([known.observed[row] for row in rows.tolist()]).T
        corner, best = self.goal.corner_goodness(), known.best_goodness
        reach = best - corner
        self._top = best + HEADROOM * reach
        rows, values, noise = self._with_curves(rows, values, noise)
        works = values >= corner
        values = np.maximum(values, corner - CLIPPED * reach)
        distances = np.log(np.maximum(self._top - values, 1e-3 * reach))
        self._surrogate.fit(self._inputs.take(rows), distances, noise, spread=LEAST_SPREAD)
        self._useful = self._usefulness(rows, works)
        if len(rows) >= TRUST_FROM:
            predicted, found = self._surrogate.left_out()
            constant = (found.sum() - found) / (len(found) - 1)
            errors = ((predicted - found) ** 2).mean(), ((constant - found) ** 2).mean()
            self.trusted = bool(errors[0] <= DISTRUST * errors[1])

    def _with_curves(self, rows: Integers, values: Floats, noise: Floats) -> tuple[Integers, Floats, Floats]:
        """The observations with those of unfinished trainings: the ends that are expected of them."""
        scale = self.distances
        ends = self._unfinished.now(scale, self.goal.corner_goodness())
        new = [one for one in ends if one.row not in self.knowledge.observed]
        return (
            np.concatenate([rows, np.array([one.row for one in new], dtype=np.int64)]),
            np.concatenate([values, [scale.goodness(one.end.mean) for one in new]]),
            np.concatenate([noise, [one.noise for one in new]]),
        )

    def within(self, end: End) -> tuple[float, float, float]:
        """The goodness at which a training is expected to end: value, and the ends of the 95 % interval, none
        better than there is."""
        value, low, high = (min(g, self.knowledge.scale.best) for g in end.goodness(self.distances))
        return value, low, high

    def goodness(self, middle: float, deviation: float) -> tuple[float, float, float]:
        """What a prediction says of the goodness: value, and the ends of the 95 % interval."""
        value, low, high = (self._top - np.exp(middle + z * deviation) for z in (0.0, 1.96, -1.96))
        return float(value), float(low), float(high)

    def _usefulness(self, rows: Integers, works: Flags) -> Floats:
        """[pool] probability that a candidate is of any use, by its size, and by whether its outputs were
        seen to depend on its inputs at all."""
        known = self.knowledge
        sizes = known.sizes()
        by_size = np.ones(len(known.pool)) if sizes is None else chance_to_work(sizes[rows], works, sizes)
        found: Floats = by_size * np.where(known.networks.constant[known.pool.models], CONSTANT, 1.0)
        return found

    def _gain(
        self,
        boxes: Boxes,
        rows: Integers,
        beliefs: Beliefs,
        ceiling: Floats | float | None = None,
        hope: float | None = None,
    ) -> Floats:
        """Expected growth of the hypervolume [rows], over all parts of the model."""
        objective, total, found = self.knowledge.quality_is_objective, np.zeros(len(rows)), beliefs.quality
        reach = reach_of(boxes, self.goal.costs(rows), objective=objective)
        for mean, deviation, weight in zip(found.means, found.deviations, found.weights, strict=True):
            quality = Quality(
                mean=mean,
                deviation=(self._hope if hope is None else hope) * deviation * beliefs.doubt,
                top=self._top,
                chance=beliefs.chance,
                ceiling=self.knowledge.scale.best if ceiling is None else ceiling,
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
        ceiling = np.array([np.inf if value is None else known.scale.goodness(value) for value in asked])
        found: Floats = np.minimum(ceiling, self.knowledge.scale.best)
        return found
