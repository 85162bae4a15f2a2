"""What the teacher tells its students, and how each training on it is run, followed and checked."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ...record.candidate import Recipe
from ...record.protocols import RungJudge
from ...store.store import Entry
from ...workload.workload import Array
from ..network.predict import predict, tensors
from ..network.reproducible import reproducible
from ..training.checkpoint import History
from ..training.loop import Data, Plan, Watch, train
from ..training.losses import Loss, check_trainable, task_of
from ..training.masks import GradualMasks, Masks
from . import keys
from .teacher import OUTPUTS, Student, TeacherStages
from .teacher_checks import student_and_teacher

Note = Callable[[Entry], object]


@dataclass(kw_only=True)
class TeachingStages(TeacherStages):
    """Training data with what the teacher says about it, and the training itself."""

    def teacher_remarks(self) -> tuple[str, ...]:
        """Sentences on a teacher that is wrong or unstable, found when its soft targets were made; none where
        all is well, or where there are no soft targets yet."""
        entry = self.store.get("soft-targets", self.targets_key)
        return tuple(entry.meta.get("remarks", ())) if entry else ()

    def is_derived(self, student: Student) -> bool:
        """Whether the student is cut out of the teacher, as the workload has no builder."""
        return bool(student) and self.derives

    def lesson(self, recipe: Recipe) -> keys.Lesson:
        """What the key of a training says besides the recipe."""
        targets = self.targets_key if self.asks_teacher(recipe) else ""
        return keys.Lesson(targets=targets, loss=self.loaded.workload.loss_digest)

    def asks_teacher(self, recipe: Recipe) -> bool:
        """Whether a training with this recipe reads the teacher's outputs."""
        return callable(self.loaded.workload.loss) or recipe.distill_weight > 0

    def _data(self, note: Note, recipe: Recipe | None = None) -> Data:
        """The training split with what the teacher says about it; without a recipe, with soft targets."""
        teacher = self.teacher()
        note(teacher)
        labels = torch.from_numpy(np.ascontiguousarray(self.train_split.labels))
        shape = torch.empty((len(labels), *teacher.meta["output_shape"]), device="meta")
        soft = None
        if recipe is None or self.asks_teacher(recipe):
            entry = self.teacher_logits()
            note(entry)
            soft = torch.from_numpy(np.load(entry.path / OUTPUTS))
        loss = self._loss(labels, shape)
        inputs = tensors(self.train_split.inputs)
        return Data(inputs=inputs, labels=labels, soft_targets=soft, loss=loss)

    def _loss(self, labels: torch.Tensor, outputs: torch.Tensor) -> Loss:
        """The loss for these labels; what a function of the user raises names their file and line."""
        loss = check_trainable(labels, outputs, self.loaded.workload.loss)
        if not callable(loss):
            return loss
        function = loss
        return lambda *arguments: self.loaded.call("loss", function, *arguments)

    def _train(
        self,
        model: nn.Module,
        data: Data,
        plan: Plan,
        watch: Watch,
        masks: Masks | GradualMasks | None = None,
    ) -> History:
        checkpoint = self.store.workdir(watch.kind, watch.key) / "checkpoint.pt"
        started = time.monotonic()
        try:
            with reproducible(plan.seed, self.threads):
                return train(model, data, plan, checkpoint, self.control, masks, watch)
        finally:
            self.training_seconds += time.monotonic() - started

    def _watch(self, key: str, kind: str, judge: RungJudge) -> Watch:
        higher = self.metric.higher_is_better
        return Watch(key=key, kind=kind, quality=self._validation, judge=judge, higher_is_better=higher)

    def _validation(self, model: nn.Module) -> float:
        return self.quality(model, self.loaded.splits.validation)

    def _result(self, model: nn.Module, history: History, into: Path) -> dict[str, Any]:
        best = {} if history.best_epoch is None else {"best_epoch": history.best_epoch}
        return {
            "quality": {"validation": history.curve[-1][1]},
            "losses": history.losses,
            "curve": history.curve,
            "earlier_seconds": history.earlier_seconds,
            "remarks": self._remarks(model),
            **best,
            **self.written(model, into),
        }

    def _remarks(self, model: nn.Module) -> list[str]:
        """What the student says about its teacher, see `teacher_checks`."""
        validation = self.loaded.splits.validation
        task = task_of(validation.labels, self._teacher_on_validation, self.loaded.workload.loss)
        if task is None:
            return []
        outputs = predict(model, validation)
        return student_and_teacher(outputs, self._teacher_on_validation, validation.labels, task)

    @cached_property
    def _teacher_on_validation(self) -> Array:
        return predict(self.teacher_model(), self.loaded.splits.validation)
