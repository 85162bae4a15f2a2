"""What a student learns from: the training split, and what the teacher says about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import numpy as np
import torch
from torch import nn

from ....profiles.guard.user_code import user_code
from ...record.candidate import Recipe
from ...workload.metric import Array
from ...workload.task import CLASS_TASKS, EMBEDDING
from ...workload.workload import Split
from ..network.predict import tensors
from ..training.loop import Data
from ..training.losses import Loss
from . import keys
from .base import Note
from .standstill import at_chance, came_to_nothing
from .teacher import Teacher
from .teacher_checks import COMPARED, student_and_teacher


class Lessons:
    """Training data by recipe, and what a trained student tells about the teacher."""

    def __init__(self, teacher: Teacher) -> None:
        self.teacher, self.networks, self.loaded = teacher, teacher.networks, teacher.loaded

    def key(self, recipe: Recipe) -> keys.Lesson:
        """What the key of a training says besides the recipe."""
        targets = self.teacher.targets_key if self._asks_teacher(recipe) else ""
        return keys.Lesson(targets=targets, loss=self.teacher.purpose.digest)

    def _asks_teacher(self, recipe: Recipe) -> bool:
        """Whether a training with this recipe reads the teacher's outputs: vectors of an embedding, and
        outputs beside the primary one, have nothing else to learn from."""
        if callable(self.loaded.workload.loss) or recipe.distill_weight > 0:
            return True
        return bool(self.networks.outputs.others) or self.teacher.purpose.first.name == EMBEDDING

    def data(self, recipe: Recipe, note: Note) -> Data:
        """The training split with what the teacher says about it; `note` is told each entry on the way."""
        note(self.teacher.entry())
        said: dict[str, Array] = {}
        if self._asks_teacher(recipe) or self.teacher.purpose.task.name == EMBEDDING:
            entry = self.teacher.soft_targets()
            note(entry)
            said = self.teacher.said(entry)
        return self._data(self.loaded.splits.train, said)

    def first_data(self, split: Split) -> Data:
        """A few samples, with what the teacher says about them."""
        return self._data(split, self.networks.predicted(self.teacher.model(), split))

    def _data(self, split: Split, said: Mapping[str, Array]) -> Data:
        choice = self.networks.outputs
        targets = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in said.items()}
        return Data(
            inputs=tensors(split.inputs),
            labels=torch.from_numpy(np.ascontiguousarray(split.labels)),
            soft_targets=targets.get(choice.primary),
            loss=self._loss(),
            others={name: targets[name] for name in choice.others if name in targets},
            primary=choice.primary,
            wanted=self.loaded.workload.outputs,
        )

    def _loss(self) -> Loss:
        """The task, or the workload's own loss through the guard."""
        workload = self.loaded.workload
        if not callable(workload.loss):
            return self.teacher.purpose.task
        return _guarded(f"`loss` of workload {workload.name}", workload.loss)

    def doubts(self, model: nn.Module, epochs: int) -> list[str]:
        """What a student that was trained for so many epochs came to, and what it says about its teacher; see
        `standstill` and `teacher_checks`."""
        networks, purpose, validation = self.networks, self.teacher.purpose, self.loaded.splits.validation
        found = networks.predicted(model, validation)
        ours, given = found[networks.outputs.primary], networks.outputs.for_metric(found)
        axis = purpose.task.class_axis if purpose.task.name in CLASS_TASKS else None
        nothing = came_to_nothing(given, ours, validation.labels, networks.metric, epochs, class_axis=axis)
        if purpose.task.name not in COMPARED:
            return nothing
        theirs = self.teacher.on_validation
        return nothing + student_and_teacher(ours, theirs, validation.labels, purpose.task)

    def at_chance(self, model: nn.Module) -> bool:
        """Whether a model has learned nothing yet, as far as validation tells."""
        validation = self.loaded.splits.validation
        given = self.networks.for_metric(model, validation)
        return at_chance(given, validation.labels, self.networks.metric)


def _guarded(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(function)
    def loss(outputs: Any, labels: Any, teacher: Any) -> Any:
        given = {"outputs": outputs, "labels": labels, "teacher_outputs": teacher}
        with user_code(what, given=given, function=function, brief=True):
            return function(outputs, labels, teacher)

    return loss
