"""What a student learns from: the training split, and what the teacher says about it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ...record.candidate import Recipe
from ...store.store import Entry
from ...workload.workload import Split
from ..network.predict import predict, tensors
from ..network.reproducible import reproducible
from ..training.hidden_states import (
    HiddenTargets,
    Pairs,
    check_pairs,
    check_path,
    layer_pairs,
    read_states,
    teacher_states,
    write_states,
)
from ..training.loop import Data
from ..training.losses import Loss, check_trainable, task_of
from . import keys
from .base import Note
from .networks import Student
from .teacher import OUTPUTS, Teacher
from .teacher_checks import student_and_teacher


class Lessons:
    """Training data by recipe and student, and what a trained student tells about the teacher."""

    def __init__(self, teacher: Teacher) -> None:
        self.teacher, self.networks, self.loaded = teacher, teacher.networks, teacher.loaded

    def key(self, recipe: Recipe) -> keys.Lesson:
        """What the key of a training says besides the recipe."""
        workload = self.loaded.workload
        hidden = "" if workload.hidden is None else repr(sorted(workload.hidden.items()))
        targets = self.teacher.targets_key if self._asks_teacher(recipe) else ""
        return keys.Lesson(targets=targets, loss=workload.loss_digest, hidden=hidden)

    def _asks_teacher(self, recipe: Recipe) -> bool:
        """Whether a training with this recipe reads the teacher's outputs or hidden states."""
        own = callable(self.loaded.workload.loss)
        return own or recipe.distill_weight > 0 or recipe.hidden_weight > 0

    def data(self, recipe: Recipe, student: Student, note: Note) -> Data:
        """The training split with what the teacher says about it; `note` is told each entry on the way."""
        split, teacher = self.loaded.splits.train, self.teacher.entry()
        note(teacher)
        labels = torch.from_numpy(np.ascontiguousarray(split.labels))
        outputs = torch.empty((len(labels), *teacher.meta["output_shape"]), device="meta")
        soft, hidden = None, None
        if self._asks_teacher(recipe):
            entry = self.teacher.soft_targets()
            note(entry)
            soft = torch.from_numpy(np.load(entry.path / OUTPUTS))
        if recipe.hidden_weight:
            entry = self.hidden_states(student)
            note(entry)
            states = read_states(entry.path, entry.meta["layers"])
            hidden = HiddenTargets(pairs=self.pairs(student), states=states)
        loss, inputs = self._loss(labels, outputs), tensors(split.inputs)
        return Data(inputs=inputs, labels=labels, soft_targets=soft, loss=loss, hidden=hidden)

    def first_data(self, split: Split, recipe: Recipe, student: Student, outputs: tuple[int, ...]) -> Data:
        """A few samples before the teacher was asked about any: its outputs, of this shape, are all zero."""
        labels = torch.from_numpy(np.ascontiguousarray(split.labels))
        targets = torch.zeros((len(split), *outputs))
        hidden = None
        if recipe.hidden_weight:
            pairs = self.pairs(student)
            layers = tuple(theirs for _, theirs in pairs)
            states = teacher_states(self.teacher.model(), layers, split.inputs)
            hidden = HiddenTargets(pairs=pairs, states={k: torch.from_numpy(v) for k, v in states.items()})
        loss, inputs = self._loss(labels, targets), tensors(split.inputs)
        return Data(inputs=inputs, labels=labels, soft_targets=targets, loss=loss, hidden=hidden)

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

    # -- hidden states ----------------------------------------------------------------------------

    def hidden_states(self, student: Student = ()) -> Entry:
        """The teacher's hidden states over `train`, computed once; `meta` has `layers`, one for each file."""
        layers = tuple(theirs for _, theirs in self.pairs(student))
        train, teacher = self.loaded.splits.train, self.teacher
        key = keys.hidden_states_key(teacher.key, self.loaded.data_digests["train"], layers)

        def make(into: Path) -> Mapping[str, Any]:
            with reproducible(0, self.networks.threads):
                states = teacher_states(teacher.model(), layers, train.inputs)
            return {"layers": write_states(states, into)}

        provenance = self.networks.provenance(teacher=teacher.key, layers=layers)
        return teacher.store.produce("hidden-states", key, provenance, make)

    def pairs(self, student: Student) -> Pairs:
        """Layers that are compared in training: the last hidden ones, and those that the workload names.

        A model cut from the teacher has the teacher's names, so the workload's names of layers of students
        do not hold for it; what of the teacher's layers it lost is left out.
        """
        hidden = self.loaded.workload.hidden
        if not hidden or (student and not self.networks.is_derived(student)):
            return layer_pairs(hidden)
        there = {name for name, _ in self.networks.build(student).named_modules()}
        return layer_pairs({theirs: theirs for theirs in hidden.values() if theirs in there})

    def check_hidden(self, models: Mapping[Student, nn.Module]) -> None:
        """Raise UserError where the workload names hidden layers that do not exist."""
        hidden = self.loaded.workload.hidden
        if hidden:
            teacher = self.networks.build(())
            for path in hidden.values():
                check_path(path, teacher, "the teacher")
            for student, model in models.items():
                check_pairs(self.pairs(student), model, teacher)
