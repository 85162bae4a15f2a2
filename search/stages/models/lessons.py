"""What a student learns from: the training split, and what the teacher says about it."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from ...record.candidate import Recipe
from ...workload.workload import Split
from ..network.predict import predict, tensors
from ..training.loop import Data
from ..training.losses import Loss, check_trainable, task_of
from . import keys
from .base import Note
from .teacher import OUTPUTS, Teacher
from .teacher_checks import student_and_teacher


class Lessons:
    """Training data by recipe, and what a trained student tells about the teacher."""

    def __init__(self, teacher: Teacher) -> None:
        self.teacher, self.networks, self.loaded = teacher, teacher.networks, teacher.loaded

    def key(self, recipe: Recipe) -> keys.Lesson:
        """What the key of a training says besides the recipe."""
        targets = self.teacher.targets_key if self._asks_teacher(recipe) else ""
        return keys.Lesson(targets=targets, loss=self.loaded.workload.loss_digest)

    def _asks_teacher(self, recipe: Recipe) -> bool:
        """Whether a training with this recipe reads the teacher's outputs."""
        return callable(self.loaded.workload.loss) or recipe.distill_weight > 0

    def data(self, recipe: Recipe, note: Note) -> Data:
        """The training split with what the teacher says about it; `note` is told each entry on the way."""
        split, teacher = self.loaded.splits.train, self.teacher.entry()
        note(teacher)
        labels = torch.from_numpy(np.ascontiguousarray(split.labels))
        outputs = torch.empty((len(labels), *teacher.meta["output_shape"]), device="meta")
        soft = None
        if self._asks_teacher(recipe):
            entry = self.teacher.soft_targets()
            note(entry)
            soft = torch.from_numpy(np.load(entry.path / OUTPUTS))
        loss, inputs = self._loss(labels, outputs), tensors(split.inputs)
        return Data(inputs=inputs, labels=labels, soft_targets=soft, loss=loss)

    def first_data(self, split: Split, outputs: tuple[int, ...]) -> Data:
        """A few samples before the teacher was asked about any: its outputs, of this shape, are all zero."""
        labels = torch.from_numpy(np.ascontiguousarray(split.labels))
        targets = torch.zeros((len(split), *outputs))
        loss, inputs = self._loss(labels, targets), tensors(split.inputs)
        return Data(inputs=inputs, labels=labels, soft_targets=targets, loss=loss)

    def _loss(self, labels: torch.Tensor, outputs: torch.Tensor) -> Loss:
        """The loss for these labels; what a function of the user raises names their file and line."""
        loss = check_trainable(labels, outputs, self.loaded.workload.loss)
        if not callable(loss):
            return loss
        function = loss
        return lambda *arguments: self.loaded.call("loss", function, *arguments)

    def doubts(self, model: nn.Module) -> list[str]:
        """What a student says about its teacher, see `teacher_checks`."""
        validation, theirs = self.loaded.splits.validation, self.teacher.on_validation
        task = task_of(validation.labels, theirs, self.loaded.workload.loss)
        if task is None:
            return []
        return student_and_teacher(predict(model, validation), theirs, validation.labels, task)
