"""What the curve of an unfinished training adds to what the model of quality believes of its candidates."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..record.arrays import Floats, Integers
from .curve_ends import Distances, End
from .knowledge import Knowledge
from .quality_prediction import Beliefs

SHARP, LEAST_NOISE, MOST_NOISE = 0.1, 2.0, 30.0
"""The deviation of an end that counts as extra variance 1 of an observation; that lies between the others."""


@dataclass(frozen=True, kw_only=True)
class ExpectedEnd:
    """A model whose training stands at a milestone: the row that shows it best, and its expected end.
    `works`: it is good enough already to be of use."""

    model: int
    row: int
    end: End
    works: bool

    @property
    def noise(self) -> float:
        """Extra variance, taken as an observation."""
        return float(np.clip((self.end.deviation / SHARP) ** 2, LEAST_NOISE, MOST_NOISE))


class ExpectedEnds:
    """The unfinished trainings of a search."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self._rows: dict[int, int] = {}

    def now(self, scale: Distances, corner: float) -> tuple[ExpectedEnd, ...]:
        """All of them as they stand; `corner` is the goodness from which on a candidate is of use."""
        return tuple(
            ExpectedEnd(model=model, row=self._row(model), end=end, works=training.goodness >= corner)
            for model, training, end in self._knowledge.unfinished.ends(scale)
        )

    def _row(self, model: int) -> int:
        """The row of a model that has the most bits: what is trained is scored in float."""
        if model not in self._rows:
            pool = self._knowledge.pool
            rows = np.flatnonzero(pool.models == model)
            bits = [pool.candidates[row].precision.decoded.weight_bits for row in rows]
            self._rows[model] = int(rows[int(np.argmax(bits))])
        return self._rows[model]


@dataclass(frozen=True, kw_only=True)
class Thaw:
    """By how much curves move what is believed of their models, and by what variance they narrow it."""

    models: Integers
    shift: Floats
    narrower: Floats
    share: Floats
    works: Floats

    @classmethod
    def of(cls, expected: tuple[ExpectedEnd, ...], beliefs: Beliefs, unit: float) -> Thaw:
        """Each curve weighed against the `beliefs` about its own row; distances of curves are in units whose
        logarithm is `unit`."""
        mean, variance = beliefs.quality.mean, (beliefs.quality.deviation * beliefs.doubt) ** 2
        told = np.array([one.end.mean for one in expected]) + unit
        sure = np.array([one.end.deviation for one in expected]) ** 2
        weight = variance / (variance + sure)
        return cls(
            models=np.array([one.model for one in expected]),
            shift=weight * (told - mean),
            narrower=weight * variance,
            share=1.0 - weight,
            works=np.array([one.works for one in expected]),
        )

    def applied(self, beliefs: Beliefs, models: Integers) -> Beliefs:
        """Beliefs about rows of these `models`, as one form of a model tells of the others: what is not sure
        of a form beyond its training stays so."""
        order = np.argsort(self.models)
        place = np.minimum(np.searchsorted(self.models, models, sorter=order), len(order) - 1)
        mine = order[place]
        hit = self.models[mine] == models
        if not hit.any():
            return beliefs
        shift = np.where(hit, self.shift[mine], 0.0)
        narrower = np.where(hit, self.narrower[mine], 0.0) / beliefs.doubt**2
        least = np.where(hit, self.share[mine], 1.0)
        quality, before = beliefs.quality, beliefs.quality.deviations**2
        after = np.sqrt(np.maximum(before - narrower, before * least))
        moved = replace(quality, means=quality.means + shift, deviations=after)
        sure = hit & self.works[mine]
        return replace(beliefs, quality=moved, chance=np.where(sure, 1.0, beliefs.chance))
