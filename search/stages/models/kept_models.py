"""Models of a study that was run before: what it trained is looked up in the store, and nothing is trained.

There is no trainer here: whoever asks for weights that the store does not have is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from ....profiles.errors import UserError
from ...record.candidate import Candidate, Recipe
from ...record.progress import Progress
from ...record.protocols import MilestoneJudge
from ...record.training import TrainingKey, training_key
from ...record.treatment import QatPlan
from ...space.space import Space
from ...store.store import Entry, Store
from ...workload.loader import LoadedWorkload
from ..training.loop import Control, never_stops
from .base import Note
from .kept import WeightsLostError, lost
from .network_models import NetworkModels
from .networks import Networks
from .starts import Starts
from .teacher import Teacher


class KeptTeacher(Teacher):
    """A teacher that was trained before."""

    def _make(self, into: Path) -> Mapping[str, Any]:
        if self.loaded.workload.train_teacher is None:  # it comes with its weights
            return super()._make(into)
        raise UserError(
            "the store does not have the trained teacher, and nothing is trained here",
            place=str(self.store.root),
            found=f"no sound entry teacher/{self.key[:12]}: none was made, or it is gone or damaged, or the "
            "workload, its data or torch's version have changed since",
            remedy="`paretune run STUDY` trains it (`--again` where the study has ended); undo what has "
            "changed, if anything",
        )


class KeptWeights:
    """What the study of that name trained, as the store has it."""

    def __init__(self, models: NetworkModels, study: str) -> None:
        self._models, self._study, self._starts = models, study, Starts(models.lessons)

    def trained(
        self,
        candidate: Candidate,
        note: Note = lambda entry: None,
        judge: MilestoneJudge = never_stops,
        qat: QatPlan | None = None,
    ) -> Entry:
        """The candidate's trained weights.

        Raises:
            WeightsLostError: the store does not have them.
        """
        step = self._models.needed.last(candidate, qat)
        if step is None:
            found: Entry | None = self._models.teacher.entry()
        else:
            found = self._models.store.get(step.kind, step.key)
        if found is None:
            raise WeightsLostError(lost(self._study))
        note(found)
        return found

    def load(self, entry: Entry, candidate: Candidate) -> nn.Module:
        """The model of a trained candidate, see `Starts.load`."""
        return self._starts.load(entry, candidate)


class KeptModels(NetworkModels):
    """The models that the study `study` trained."""

    def __init__(
        self,
        loaded: LoadedWorkload,
        store: Store,
        progress: Progress,
        threads: int | None,
        fallback: Recipe | None,
        study: str,
    ) -> None:
        control = Control(progress=progress.stage, note=progress.note)
        teacher = KeptTeacher(Networks(loaded, threads), store, control)
        super().__init__(loaded, store, progress, teacher, fallback)
        self.weights = KeptWeights(self, study)

    def prepare(self, space: Space) -> None:
        """Check teacher and each student size; no step is trained."""
        self.prepare_students(student for student in space.students() if student)
        self.say_purpose()

    def kept(self, space: Space) -> frozenset[TrainingKey]:
        return frozenset(
            training_key(candidate) for candidate in space.trainings() if self.has(candidate, None)
        )

    def has(self, candidate: Candidate, qat: QatPlan | None) -> bool:
        step = self.needed.last(candidate, qat)
        return step is None or self.store.glance(step.kind, step.key) is not None

    def qat_plan(self, candidate: Candidate, epochs: int) -> QatPlan | None:
        plan = super().qat_plan(candidate, epochs)
        return plan if plan is not None and self.has(candidate, plan) else None

    def epoch_seconds(self, candidate: Candidate) -> float | None:
        # What was done takes nothing.
        return 0.0
