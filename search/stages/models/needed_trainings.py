"""Which trainings a candidate needs, what each would cost, and which are done."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ....profiles.errors import InternalError
from ...record.candidate import Candidate, Recipe
from ...record.protocols import Training
from ...store.store import Entry
from .students import ModelStages, Structure, structure_of
from .teacher import Student


@dataclass(frozen=True, kw_only=True)
class _Step:
    """What does not change about one training."""

    kind: str
    key: str
    epochs: int
    structure: Structure


class Trainings:
    """Asked for every candidate of a space, often: all that does not change is worked out once."""

    def __init__(self, stages: ModelStages) -> None:
        self._stages = stages
        self._steps: dict[tuple[Student, str, Recipe | None], tuple[_Step, ...]] = {}

    def of(self, candidate: Candidate) -> tuple[Training, ...]:
        """The trainings that the candidate needs beyond the teacher's, in order, see `contract.Training`.

        Trains and builds nothing.
        """
        wanted = (candidate.student, candidate.sparsity, candidate.recipe)
        if wanted not in self._steps:
            self._steps[wanted] = self._find(candidate)
        return tuple(self._training(step) for step in self._steps[wanted])

    def _find(self, candidate: Candidate) -> tuple[_Step, ...]:
        if candidate.is_teacher:
            return ()
        sparse = candidate.sparsity != "dense"
        before = self._find(replace(candidate, sparsity="dense")) if sparse and candidate.student else ()
        recipe = candidate.recipe
        if recipe is None:
            raise InternalError(f"candidate {candidate.title} is to be trained, but has no recipe")
        step = _Step(
            kind="prune" if sparse else "distill",
            key=self._stages.trained_key(candidate),
            epochs=recipe.finetune_epochs if sparse else recipe.epochs,
            structure=structure_of(candidate),
        )
        return (*before, step)

    def _training(self, step: _Step) -> Training:
        entry = self._stages.store.glance(step.kind, step.key)
        return Training(
            key=step.key,
            kind=step.kind,
            work=self._work(step, entry),
            done=entry is not None,
            quality=entry.meta["quality"]["validation"] if entry else None,
            seconds=entry.made_seconds + entry.meta.get("earlier_seconds", 0.0) if entry else None,
        )

    def _work(self, step: _Step, entry: Entry | None) -> float | None:
        size = entry.meta if entry else self._stages.counted(step.structure)
        if size is None:
            return None
        return float(step.epochs * len(self._stages.train_split) * size["macs"])
