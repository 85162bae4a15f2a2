"""The first designs: what is trained before anything can be predicted."""

from __future__ import annotations

import numpy as np

from ..record.arrays import Flags, Floats, Integers
from ..surrogates.hypervolume_gain import Quality, expected_gain
from .knowledge import Knowledge
from .problem import SearchPart
from .sought import Goal

START_TRAININGS = 6
MODELS_PER_START = 15
"""In a space of few models each of them is a large part of what can be learned: fewer stand at the start."""
NEARBY = 0.35
"""A start model may lie so far from its place, as a share of all, where that makes it cheaper."""
START_FROM, START_TO = 0.5, 0.95
"""Where the first models lie, by rank of cost on the device among those within the limits: large ones have
the best chance of a good quality, from which the model learns most."""
SLICES_FROM = 0.3
"""Where networks have told how good they look, the first models are the best looking of as many slices of
that order, from here to its end: the smallest are of no use however they look. In a space of few models the
best looking of a slice is only its largest, and its dearest."""


class FirstDesigns:
    """Chooses them one by one."""

    def __init__(self, knowledge: Knowledge, goal: Goal, seed: int) -> None:
        self.knowledge, self.goal = knowledge, goal
        rng = np.random.default_rng(seed)
        self._order = rng.permutation(START_TRAININGS)
        self._places = (self._order + rng.random(START_TRAININGS)) / START_TRAININGS

    @property
    def missing(self) -> bool:
        """Whether one more is to be begun."""
        return self._too_few(len(self._begun())) and bool(self.knowledge.open().any())

    @property
    def missing_results(self) -> bool:
        """Whether too few models were trained for any prediction."""
        return self._too_few(0) and bool(self.knowledge.left().any())

    def _too_few(self, begun: int) -> bool:
        known = self.knowledge
        models = len(known.trainings.needed)
        given_up = int(known.trainings.given_up.sum()) + len(known.unfinished.paused_models())
        return len(known.scored) - 1 + given_up + begun < min(START_TRAININGS, models // MODELS_PER_START)

    def _begun(self) -> Integers:
        """Models that are being trained, of which nothing is known yet."""
        known = self.knowledge
        found: Integers = np.setdiff1d(
            known.flight.models(), [*known.scored, *known.unfinished.paused_models()]
        )
        return found

    def next(self) -> int | None:
        """The row of one of the first models, in its form that promises most if its quality is as good as the
        best; None where no model is left."""
        known = self.knowledge
        rows = np.flatnonzero(known.open() & (self.goal.probable() > 0.5))
        rows = rows if len(rows) else np.flatnonzero(known.open())
        if not len(rows):
            return None
        models, ordered = known.pool.models[rows], self._by_burden(rows)
        scored = known.pool.models[np.array(sorted(known.observed), dtype=np.int64)]
        scored = np.concatenate([scored, self._begun()])
        alike = known.networks.alike
        new = ~np.isin(alike[ordered], alike[scored]) & ~known.networks.constant[ordered]
        if not new.any():
            return None
        number = max(0, len(known.scored) - 1 + len(self._begun())) % START_TRAININGS
        small = len(known.trainings.needed) < START_TRAININGS * MODELS_PER_START
        looks = None if small or SearchPart.STARTS in known.problem.without else known.consensus()
        if looks is None:
            model = self._cheap_nearby(ordered, new, self._places[number])
        else:
            model = _best_looking(ordered, new, int(self._order[number]), looks)
        return self._best_form(rows[models == model])

    def _by_burden(self, rows: Integers) -> Integers:
        """Models of these rows, from the cheapest on the device to the dearest."""
        known = self.knowledge
        burden = np.zeros(len(rows))
        for name in known.hardware_objectives:
            logs = np.log(known.hardware_of(name)[rows])
            burden += np.nan_to_num(known.as_cost(name, logs))
        unique, place_of = np.unique(known.pool.models[rows], return_inverse=True)
        means = np.bincount(place_of, weights=burden) / np.bincount(place_of)
        found: Integers = unique[np.argsort(means, kind="stable")]
        return found

    def _cheap_nearby(self, ordered: Integers, new: Flags, share: float) -> int:
        """The cheapest training near to a place in the order."""
        place = (START_FROM + (START_TO - START_FROM) * share) * (len(ordered) - 1)
        away = np.abs(np.arange(len(ordered)) - place) / max(1, len(ordered) - 1)
        costs = self.knowledge.model_seconds()[ordered]
        near = np.flatnonzero(new & (away <= max(NEARBY, float(away[new].min(initial=1.0)))))
        return int(ordered[near[np.lexsort((away[near], costs[near]))[0]]])

    def _best_form(self, forms: Integers) -> int:
        known = self.knowledge
        goodness = known.best_goodness if np.isfinite(known.best_goodness) else 0.0
        even = Quality(mean=np.zeros(len(forms)), deviation=np.full(len(forms), 1e-3), top=goodness + 1.0)
        gain = expected_gain(
            self.goal.boxes()[0], self.goal.costs(forms), even, objective=known.quality_is_objective
        )
        return int(forms[int(np.argmax(gain * self.goal.probable()[forms]))])


def _best_looking(ordered: Integers, new: Flags, number: int, looks: Floats) -> int:
    """Of a slice of the order the model that looks best."""
    ends = SLICES_FROM + (1 - SLICES_FROM) * np.array([number, number + 1]) / START_TRAININGS
    first, last = (ends * len(ordered)).astype(int)
    part = np.zeros(len(ordered), dtype=bool)
    part[first : max(last, first + 1)] = True
    usable = np.flatnonzero(part & new if (part & new).any() else new)
    return int(ordered[usable[int(np.argmax(looks[ordered[usable]]))]])
