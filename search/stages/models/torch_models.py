"""Models that PyTorch trains."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from torch import nn

from ...record.candidate import Candidate, Recipe
from ...record.progress import Progress
from ...record.protocols import GUESS_RATE
from ...record.untrained import Untrained
from ...space.space import Space
from ...store.store import Store
from ...workload.loader import LoadedWorkload
from ..training.loop import Control
from .base import Note
from .network_models import NetworkModels
from .networks import Networks, Student
from .teacher import Teacher
from .trainer import Trainer
from .untrained_looks import UntrainedLooks

STEP_SECONDS = 2e-3
"""What a training step takes beside its arithmetic, before anything was seen."""
_MOST_LOOKING = 0.1
"""Of what the students' trainings take together, looks at all of them may take so much, which a tenth fewer
trainings pay for."""


class TorchModels(NetworkModels):
    """Models that PyTorch trains: `trainer` trains what is not in the store."""

    def __init__(
        self,
        loaded: LoadedWorkload,
        store: Store,
        progress: Progress,
        threads: int | None,
        control: Control | None = None,
        fallback: Recipe | None = None,
    ) -> None:
        control = control or Control(progress=progress.stage, note=progress.note)
        super().__init__(
            loaded, store, progress, Teacher(Networks(loaded, threads), store, control), fallback
        )
        self.trainer = Trainer(self.lessons, self.needed, store, control)
        self.weights = self.trainer
        self.looks = UntrainedLooks(self.teacher, store, self.needed.fallback)

    def prepare(self, space: Space) -> None:
        """Check teacher and each student size, and train the teacher if it is not in the store.

        Each student also takes up to three training steps, which must give finite losses.
        """
        found = list(space.trainings())
        recipes = {c.recipe for c in found if c.recipe is not None}
        recipe = min(recipes, key=lambda r: (-r.learning_rate, r.temperature)) if recipes else None
        self.prepare_students(sorted({c.student for c in found if c.student}, key=str), recipe)
        self.say_purpose()

    def try_steps(self, model: nn.Module, student: Student, recipe: Recipe) -> None:
        self.trainer.try_steps(model, student, recipe)

    def trains(self, candidate: Candidate) -> bool:
        return not candidate.is_teacher

    def looked_at(self, candidate: Candidate, note: Note) -> Untrained:
        known = super().looked_at(candidate, note)
        return replace(known, proxies=self.looks.at(candidate, note)) if self._worth_looking else known

    @cached_property
    def _worth_looking(self) -> bool:
        """Whether trainings are dear against looks at what is to be trained."""
        sizes, recipe = self.networks.sizes.items(), self.needed.fallback
        students = [size["macs"] for (student, sparsity), size in sizes if student and sparsity == "dense"]
        looking = sum(map(self.looks.seconds, students))
        training = recipe.epochs * sum(self._epoch(macs, recipe) for macs in students)
        return 0 < looking <= _MOST_LOOKING * training

    def _epoch(self, macs: int, recipe: Recipe) -> float:
        """Seconds of an epoch of a model of that size, before any was seen."""
        samples = len(self.loaded.splits.train)
        return macs * samples / GUESS_RATE + samples / recipe.batch * STEP_SECONDS

    def epoch_seconds(self, candidate: Candidate) -> float | None:
        """From the training that made it where that is known, else from its multiply-adds."""
        step = self.needed.last(candidate)
        seconds = self.trainings(candidate)[-1].seconds if step else None
        if step and seconds:
            return seconds / max(1, step.plan.epochs)
        return self._epoch(self.networks.size(candidate)["macs"], candidate.recipe or self.needed.fallback)
