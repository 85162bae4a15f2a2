"""What the curve of an unfinished training adds to what the model of quality believes of its candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..record.arrays import Floats, Integers
from ..surrogates.curve_ends import Distances, End
from ..surrogates.quality_prediction import Beliefs
from .knowledge import Knowledge

SHARP, LEAST_NOISE, MOST_NOISE = 0.1, 2.0, 30.0
"""The deviation of an end that counts as extra variance 1 of an observation; that lies between the others."""


@dataclass(frozen=True, kw_only=True)
class ExpectedEnd:
    """A model whose training stands at a milestone: the row that shows it best, and its expected end.
    `works`: it is good enough already to be of use. `followers` are models that are made of it."""

    model: int
    row: int
    end: End
    works: bool
    followers: tuple[int, ...] = ()

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
        unfinished = self._knowledge.unfinished
        return tuple(
            ExpectedEnd(
                model=model,
                row=self._row(model),
                end=end,
                works=training.goodness >= corner,
                followers=unfinished.made_of(training),
            )
            for model, training, end in unfinished.ends(scale)
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
    """By how much curves move what is believed of their models, and by what variance they narrow it. What is
    made of such a model is moved as far, and nothing is surer of it."""

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
        own = cls(
            models=np.array([one.model for one in expected]),
            shift=weight * (told - mean),
            narrower=weight * variance,
            share=1.0 - weight,
            works=np.array([one.works for one in expected]),
        )
        return own._with_followers([one.followers for one in expected])

    def _with_followers(self, followers: Sequence[tuple[int, ...]]) -> Thaw:
        models = [model for some in followers for model in some]
        of = np.repeat(np.arange(len(followers)), [len(some) for some in followers])
        return Thaw(
            models=np.concatenate([self.models, np.array(models, dtype=np.int64)]),
            shift=np.concatenate([self.shift, self.shift[of]]),
            narrower=np.concatenate([self.narrower, np.zeros(len(of))]),
            share=np.concatenate([self.share, np.ones(len(of))]),
            works=np.concatenate([self.works, np.zeros(len(of), dtype=bool)]),
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
