"""The points that a candidate is up against: complete trials that meet the limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite

import numpy as np

from ...profiles.words import joined
from ..ranking.known import violations
from ..record.evaluation import Limit, Objective, Outcome, Quantity, TrialRecord, met
from ..record.metrics import metric_info
from ..record.quality import QualityScale


class Rivals:
    """The complete trials that meet the limits, as columns, to compare one candidate with all at once.

    A column has the goodness of the quality, the end of its interval that is worse, and per other objective
    the end that is worse, turned so that less is better.
    """

    def __init__(self, objectives: Sequence[Objective], scale: QualityScale) -> None:
        self.limits: tuple[Limit, ...] = ()
        self._scale = scale
        self._others = [o for o in objectives if o.metric != scale.metric]
        self._quality_counts = len(self._others) < len(objectives)
        self._complete: list[TrialRecord] = []
        self._feasible: list[TrialRecord] = []
        self._room = np.empty((2 + len(self._others), 8))

    def judge_by(self, limits: tuple[Limit, ...]) -> None:
        """Set the limits, and find anew which trials meet them."""
        self.limits = limits
        self._feasible = []
        for record in self._complete:
            self._add(record)

    def learn(self, record: TrialRecord) -> None:
        """Take in a trial; only complete ones that repeat no other are points."""
        if record.ended(Outcome.COMPLETE):
            self._complete.append(record)
            self._add(record)

    def _add(self, record: TrialRecord) -> None:
        metrics = record.evaluation.metrics
        quality = metrics.get(self._scale.metric)
        feasible = met(violations(self.limits, metrics))
        costs = self._ends(metrics, worse=True)
        if not feasible or costs is None or quality is None or not isfinite(quality.value):
            return
        if len(self._feasible) == self._room.shape[1]:
            self._room = np.concatenate([self._room, np.empty_like(self._room)], axis=1)
        low, high = quality.ends
        worse = self._scale.goodness(low if self._scale.higher_is_better else high)
        self._room[:, len(self._feasible)] = (self._scale.goodness(quality.value), worse, *costs)
        self._feasible.append(record)

    def best_ends(self, metrics: Mapping[str, Quantity]) -> list[float] | None:
        """The better end of each objective but the quality; None where one was not measured."""
        return self._ends(metrics, worse=False)

    def _ends(self, metrics: Mapping[str, Quantity], *, worse: bool) -> list[float] | None:
        ends = []
        for objective in self._others:
            quantity = metrics.get(objective.metric)
            if quantity is None or not isfinite(quantity.value):
                return None
            (low, high), higher = quantity.ends, objective.higher_is_better
            end = low if worse == higher else high
            ends.append(-end if higher else end)
        return ends

    def better_than(self, most: float | None, best_ends: Sequence[float]) -> TrialRecord | None:
        """The best trial that is better than a candidate on every objective: than the most that its goodness
        can be (None: unknown), and beyond error than the better ends of all else. None where there is none.
        """
        goodness, worse_end, *others = self._room[:, : len(self._feasible)]
        beats = np.ones(len(goodness), dtype=bool)
        for worst, best in zip(others, best_ends, strict=True):
            beats &= worst < best
        if self._quality_counts:
            if most is None:
                return None
            # Alone, the quality too must differ beyond error. At its very end, to be as good is enough.
            better = (goodness if self._others else worse_end) > most + self._scale.slack(most)
            if self._others and most >= self._scale.best:
                better = goodness >= most
            beats &= better
        places = np.flatnonzero(beats)
        return self._feasible[places[np.argmax(goodness[places])]] if len(places) else None

    def better_words(self, record: TrialRecord, most: float, own: Mapping[str, float]) -> str:
        """ "better on accuracy (93.10 %), latency (1.2 ms against 2.1 ms) and size (80 kB against 90 kB)"."""
        metrics, parts, as_good = record.evaluation.metrics, [], ""
        if self._quality_counts:
            quality = metrics[self._scale.metric].value
            if quality == most:
                as_good = f"as good on {self._scale.title} and "
            else:
                parts.append(f"{self._scale.title} ({self._scale.text(quality)})")
        for objective in self._others:
            info = metric_info(objective.metric)
            theirs, mine = (info.format(v) for v in (metrics[info.name].value, own[info.name]))
            parts.append(f"{info.title.lower()} ({theirs} against {mine})")
        return f"{as_good}better on {joined(parts)}"
