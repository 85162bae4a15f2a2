"""The teacher: built, trained once, checked, kept; and what it says about the training split."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from ....profiles.errors import InternalError, UnsupportedError, UserError
from ...record.candidate import Scalar
from ...space.derived_students import student_shares
from ...store.store import Entry, Store
from ...workload.loader import LoadedWorkload, check_arguments
from ...workload.workload import Array, Metric, Split
from ..cutting.derive import Derivation, find_derivation
from ..network.model_size import model_size
from ..network.predict import predict, tensors
from ..network.reproducible import reproducible, state_digest
from ..training.loop import Control
from ..training.losses import task_of
from . import keys
from .model_checks import check_model, check_teacher
from .teacher_checks import targets_and_labels, two_passes

WEIGHTS = "weights.safetensors"
OUTPUTS = "outputs.npy"
_SECOND_PASS = 256  # samples of `train` that the teacher sees again

Student = tuple[tuple[str, Scalar], ...]


def _tools() -> dict[str, str]:
    return {name: version(name) for name in ("torch", "torch-pruning")}


@dataclass(kw_only=True)
class TeacherStages:
    """The teacher of one workload, and what its students share.

    `threads` is torch's number of threads (None: as many as it takes by itself). `control` is asked and told
    after every epoch. `counters` counts what was really done in this process: "trainings" (dense students),
    "finetunings" (sparse models), "teacher_trainings"; `training_seconds` is the time that took.
    """

    loaded: LoadedWorkload
    store: Store
    threads: int | None = None
    control: Control = field(default_factory=Control)
    tools: Mapping[str, str] = field(default_factory=_tools)
    counters: Counter[str] = field(default_factory=Counter)
    training_seconds: float = 0.0
    _derivations: dict[Student, Derivation] = field(default_factory=dict)

    @cached_property
    def teacher_key(self) -> str:
        """Key of the teacher's entry; builds the teacher once, since the weights it starts with count."""
        loaded = self.loaded
        return keys.teacher_key(loaded.source_digest, loaded.data_digests, self.initial_digest, self.tools)

    @cached_property
    def initial_digest(self) -> str:
        """Digest of the weights that the teacher is built with."""
        return state_digest(self.build(()))

    def teacher(self) -> Entry:
        """The trained teacher. `meta` has `quality` by split (train and validation), `parameters`, `macs` and
        `output_shape` (without the batch).

        Raises:
            UserError: the teacher does not run, has weights that are not finite, or is no better than chance.
        """
        provenance = {"source": self.loaded.source_digest, "data": self.loaded.data_digests}
        return self.store.produce("teacher", self.teacher_key, self._by(provenance), self._make_teacher)

    def teacher_model(self) -> nn.Module:
        """The trained teacher, in evaluation mode."""
        return self.with_weights(self.build(()), self.teacher())

    @property
    def targets_key(self) -> str:
        """Key of the teacher's outputs over the training split."""
        return keys.soft_targets_key(self.teacher_key, self.loaded.data_digests["train"])

    def teacher_logits(self) -> Entry:
        """The teacher's outputs over `train`, computed once, as `outputs.npy` (float32, axis 0 = samples).

        `meta` has `remarks`, sentences on a teacher that is wrong or unstable.
        """

        def make(into: Path) -> Mapping[str, Any]:
            model = self.teacher_model()
            with reproducible(0, self.threads):
                outputs = predict(model, self.train_split)
            np.save(into / OUTPUTS, outputs.astype(np.float32))
            return {"shape": outputs.shape, "remarks": self._teacher_remarks(model, outputs)}

        provenance = self._by({"teacher": self.teacher_key})
        return self.store.produce("soft-targets", self.targets_key, provenance, make)

    @property
    def metric(self) -> Metric:
        """The workload's metric."""
        return self.loaded.workload.metric

    @property
    def train_split(self) -> Split:
        """The training split."""
        return self.loaded.splits.train

    def sample(self, count: int) -> list[Tensor]:
        """The first few training inputs as tensors."""
        return tensors(self.train_split.head(count).inputs)

    def build(self, student: Student, seed: int = 0) -> nn.Module:
        """The untrained student, or the teacher as it is built for `()`; the same for equal seeds.

        It comes from the user's builder, or, where there is none, out of a fresh teacher (see `derive`).

        Raises:
            UserError: the builder fails, does not return a module, or the axes are none that it takes.
            UnsupportedError: no such student can be derived from the teacher.
        """
        workload = self.loaded.workload
        if student and self.derives:
            return self._cut_out(self.build((), seed), student)
        what, function = ("student", workload.student) if student else ("teacher", workload.teacher)
        if function is None:
            raise UserError(
                f"the workload has no `{what}` function",
                place=f"workload {workload.name}",
                found=f"the study asks for {student_title(student)}",
                remedy="give the workload one, or leave the student axes and sparsity out of the study",
            )
        check_arguments(function, dict(student), f"`{what}` of workload {workload.name}")
        with reproducible(seed, self.threads):
            model: object = self.loaded.call(what, function, **dict(student))
        if not isinstance(model, nn.Module):
            found = type(model).__name__
            raise UserError(f"`{what}` did not return a torch module", place=workload.name, found=found)
        return model

    @property
    def derives(self) -> bool:
        """Whether students are cut out of the teacher, for want of a student builder."""
        return self.loaded.workload.student is None and self.loaded.workload.teacher is not None

    def built(self, students: Iterable[Student]) -> dict[Student, nn.Module]:
        """Untrained students, without those that cannot be derived from the teacher.

        Raises:
            UserError: as `build`.
            UnsupportedError: none of several can be derived; the reason is that of the last.
        """
        models: dict[Student, nn.Module] = {}
        refused: UnsupportedError | None = None
        for student in students:
            try:
                models[student] = self.build(student)
            except UnsupportedError as error:
                refused = error
        if refused is not None and not models:
            raise refused
        return models

    def initial(self, student: Student, seed: int = 0) -> nn.Module:
        """The model that distillation of a student starts from.

        A student that the user's builder makes starts untrained, as from `build`; one derived from the
        teacher starts with the largest of the trained teacher's weights.

        Raises:
            UserError, UnsupportedError: as `build`.
        """
        if student and self.derives:
            return self._cut_out(self.teacher_model(), student)
        return self.build(student, seed)

    def derivation(self, student: Student) -> Derivation:
        """How a student without a builder is cut out of the teacher; found once, on untrained weights.

        Raises:
            UserError, UnsupportedError: as `build`.
        """
        plain = tuple(sorted(student))
        if plain not in self._derivations:
            depth, macs = student_shares(plain)
            with reproducible(0, self.threads):
                found = find_derivation(self.build(()), depth, macs, self.sample(2))
            self._derivations[plain] = found
        return self._derivations[plain]

    def _cut_out(self, teacher: nn.Module, student: Student) -> nn.Module:
        with reproducible(0, self.threads):
            return self.derivation(student).apply(teacher, self.sample(2))

    def with_weights(self, model: nn.Module, entry: Entry) -> nn.Module:
        """The model, in evaluation mode, with the weights of an entry.

        Raises:
            InternalError: the weights are those of another structure.
        """
        try:
            load_model(model, entry.path / WEIGHTS)
        except RuntimeError as error:
            raise InternalError(f"weights of {entry.stage} {entry.key[:12]} do not fit: {error}") from error
        return model.eval()

    def quality(self, model: nn.Module, split: Split) -> float:
        """The workload's metric of a model over a split, in PyTorch."""
        outputs = predict(model, split)
        return float(self.loaded.call("metric", self.metric.function, outputs, split.labels))

    def written(self, model: nn.Module, into: Path) -> dict[str, int]:
        """Write the weights and return parameters and multiply-adds."""
        save_model(model, str(into / WEIGHTS))
        return model_size(model, self.sample(1))

    def _teacher_remarks(self, model: nn.Module, outputs: Array) -> list[str]:
        """What outputs over `train` say about the teacher; some are computed again, in another order."""
        split = self.train_split
        rows = np.arange(min(len(split), _SECOND_PASS))[::-1]
        again = Split(inputs={n: a[rows] for n, a in split.inputs.items()}, labels=split.labels[rows])
        with reproducible(1, self.threads):
            found = two_passes(outputs[rows], predict(model, again))
        task = task_of(split.labels, outputs, self.loaded.workload.loss)
        return found + (targets_and_labels(outputs, split.labels, task) if task else [])

    def _make_teacher(self, into: Path) -> Mapping[str, Any]:
        workload, splits = self.loaded.workload, self.loaded.splits
        model = self.build(())
        check_model(model, splits.train, self.metric, "teacher")
        if workload.train_teacher is not None:
            self.control.progress("teacher: training")
            started = time.monotonic()
            with reproducible(0, self.threads):
                self.loaded.call("train_teacher", workload.train_teacher, model, splits)
            self.counters["teacher_trainings"] += 1
            self.training_seconds += time.monotonic() - started
        _check_weights(model, workload.name)
        shape = check_model(model, splits.train, self.metric, "trained teacher")
        validation = check_teacher(predict(model, splits.validation), splits, self.metric)
        quality = {"train": self.quality(model, splits.train), "validation": validation}
        return {"quality": quality, "output_shape": shape, **self.written(model, into)}

    def _by(self, provenance: Mapping[str, Any]) -> dict[str, Any]:
        by = {"pid": os.getpid(), "threads": self.threads or torch.get_num_threads()}
        return {**provenance, "by": by, "tools": dict(self.tools), "workload": self.loaded.workload.name}


def _check_weights(model: nn.Module, name: str) -> None:
    for key, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise UserError(
                "the teacher's weights are not finite (NaN or infinity)",
                place=f"teacher of workload {name}, {key}",
                remedy="its training diverged: lower the learning rate in `train_teacher`, and check how "
                "inputs are scaled",
            )


def student_title(student: Student) -> str:
    """The builder's arguments in one line."""
    return " ".join(f"{name}={value}" for name, value in student) or "the teacher"
