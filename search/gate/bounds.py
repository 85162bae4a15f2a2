"""The best quality that a candidate could have, from what is known of its relatives."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass
from math import inf, isfinite

from ..record.candidate import Candidate
from ..record.evaluation import Bound, Outcome, TrialRecord
from ..record.quality import QualityScale
from ..record.training import training_key
from .relatives import Known, Larger, Relatives, SameLessQuantized, SamePrunedLess, TeacherInThatForm

BROKEN = 2.0
COLLAPSE = 10
"""A form of a model that is worse than its best one by more than so many margins broke when it was made."""
PRECISION, SPARSITY, SIZE, TEACHER = "precision", "sparsity", "size", "teacher"


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """A bound as a number: `goodness` cannot be exceeded. `relative` and `relation` say what it comes from,
    `margin` is in it; both are None and 0 where only the metric itself ends there."""

    goodness: float
    relative: Known | None = None
    relation: str = ""
    margin: float = 0.0


class QualityBounds:
    """Learns the complete trials, and bounds the quality of candidates by their relatives' values.

    The bound is the least over all relatives of their value plus a margin. `margin` (in the metric's unit, as
    an amount) is the study's; a kind of relation in which a candidate was seen to beat its relative by more
    gets the most that was seen, and bounds nothing any more where that is over `BROKEN` margins: a teacher
    that its students beat by points is no bound for the next student.
    """

    def __init__(self, scale: QualityScale, margin: float) -> None:
        self.scale, self._stated = scale, margin
        self._relations: dict[str, Relatives] = {
            PRECISION: SameLessQuantized(),
            SPARSITY: SamePrunedLess(),
            SIZE: Larger(),
            TEACHER: TeacherInThatForm(),
        }
        self._excess = dict.fromkeys(self._relations, 0.0)
        self._models: dict[Hashable, list[Known]] = defaultdict(list)

    def learn(self, record: TrialRecord) -> None:
        """Take in a trial; only complete ones that repeat no other tell anything."""
        evaluation = record.evaluation
        quality = evaluation.metrics.get(self.scale.metric)
        if not record.ended(Outcome.COMPLETE) or quality is None or not isfinite(quality.value):
            return
        macs = evaluation.metrics.get("macs")
        known = Known(
            number=record.number,
            candidate=evaluation.candidate,
            goodness=self.scale.goodness(quality.value),
            macs=None if macs is None else macs.value,
        )
        self._find_broken(known)
        for name, relatives in self._relations.items():
            self._excess[name] = max(self._excess[name], relatives.learn(known))

    def _find_broken(self, new: Known) -> None:
        forms = self._models[training_key(new.candidate)]
        forms.append(new)
        best = max(known.goodness for known in forms)
        allowed = COLLAPSE * self._stated or inf
        for known in forms:
            known.sound = known.goodness >= best - allowed

    def margin(self, *relations: str) -> float:
        """The margin for a kind of relation, the larger one for several."""
        return max(self._stated, *(self._excess[name] for name in relations))

    def _holds(self, relation: str) -> bool:
        """Whether a kind of relation may be relied on; none is where the margin is 0 and one was broken."""
        return self._excess[relation] <= BROKEN * self._stated

    def ceiling(self, candidate: Candidate, macs: float | None = None) -> Ceiling | None:
        """The bound as a number, quickly; None where nothing bounds the candidate.

        `macs` are the candidate's multiply-adds where they are known.
        """
        least = Ceiling(goodness=self.scale.best)
        for name, relatives in self._relations.items():
            relative = relatives.least(candidate, macs) if self._holds(name) else None
            if relative is not None:
                margin = self.margin(name)
                if relative.goodness + margin < least.goodness:
                    goodness = relative.goodness + margin
                    least = Ceiling(goodness=goodness, relative=relative, relation=name, margin=margin)
        return least if isfinite(least.goodness) else None

    def explained(self, ceiling: Ceiling, candidate: Candidate) -> Bound:
        """A ceiling of the candidate as a bound in the metric's own values, in words."""
        value = self.scale.goodness(ceiling.goodness)
        if ceiling.relative is None:
            none = "more" if self.scale.higher_is_better else "less"
            basis = f"{self.scale.title} is never {none} than {self.scale.text(value)}"
            return Bound(value=value, basis=basis)
        relative = ceiling.relative
        what = self._relations[ceiling.relation].words(relative, candidate)
        has = self.scale.text(self.scale.goodness(relative.goodness))
        basis = f"#{relative.number}, {what}, has {has}; {self._margin_words(ceiling.margin)}"
        return Bound(value=value, basis=basis)

    def _margin_words(self, margin: float) -> str:
        if not margin:
            return "no margin"
        seen = ", the most by which one was seen to be better" if margin > self._stated else ""
        return f"{self.scale.difference(margin)} margin{seen}"
