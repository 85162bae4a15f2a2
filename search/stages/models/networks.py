"""Untrained networks of a workload: built by its functions or cut out of its teacher, pruned, counted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, nn

from ....profiles.errors import InternalError, UnsupportedError, UserError
from ...record.candidate import Candidate, Scalar, Sparsity
from ...space.derived_students import student_shares
from ...store.store import Entry
from ...workload.loader import LoadedWorkload
from ...workload.metric import Array, Metric, Outputs
from ...workload.outputs import OutputChoice, choose_outputs
from ...workload.workload import Split
from ..cutting.derive import Derivation, find_derivation
from ..cutting.prune import Cut, named_layers, prunable_layers, prune_channels
from ..network.model_size import model_size
from ..network.plain import plain_weights
from ..network.predict import predict_all, tensors
from ..network.programs import Program, refuse_program
from ..network.reproducible import make_unequal, reproducible, state_digest
from ..training.masks import Masks, apply_masks, magnitude_masks
from . import keys
from .built import Shapes, built_by, check_as_before, shapes_of
from .model_checks import check_model

WEIGHTS = "weights.safetensors"
_FEW = 64  # samples that tell which output is meant

Student = tuple[tuple[str, Scalar], ...]
Structure = tuple[Student, str]
"""What the sizes of a model's layers depend on: the student, and the sparsity where it removes channels."""


class Networks:
    """Networks by student and sparsity, the same each time they are asked for; `()` is the teacher.

    `threads` is torch's number of threads (None: as many as it takes by itself). `sizes` has `parameters` and
    `macs` (for one sample) of the structures that were counted so far.
    """

    def __init__(
        self, loaded: LoadedWorkload, threads: int | None = None, tools: Mapping[str, str] | None = None
    ) -> None:
        self.loaded, self.threads = loaded, threads
        self.tools = dict(tools or {name: version(name) for name in ("torch", "torch-pruning")})
        self.sizes: dict[Structure, dict[str, int]] = {}
        self._shapes: dict[Student, Shapes] = {}
        self._derivations: dict[Student, Derivation] = {}
        self._cuts: dict[tuple[Student, float], Cut] = {}

    # -- what the user's functions build ----------------------------------------------------------

    def build(self, student: Student, seed: int = 0) -> nn.Module:
        """The untrained student, or the teacher as it is built for `()`; the same for equal seeds.

        It comes from the user's builder, or, where there is none, out of a fresh teacher (see `derive`).

        Raises:
            UserError: the builder fails, does not return a module, or the axes are none that it takes.
            UnsupportedError: no such student can be derived from the teacher.
        """
        if self.is_derived(student):
            return self.cut_out(self.build((), seed), student)
        workload = self.loaded.workload
        what, function = ("student", workload.student) if student else ("teacher", workload.teacher)
        if function is None:
            raise UserError(
                f"the workload has no `{what}` function",
                place=f"workload {workload.name}",
                found=f"the study asks for {student_title(student)}",
                remedy="give the workload one, or leave the student axes and sparsity out of the study",
            )
        named = f"`{what}` of workload {workload.name}"
        with reproducible(seed, self.threads):
            model = built_by(function, dict(student), named)
        before = self._shapes.setdefault(student, shapes_of(model))
        check_as_before(before, model, f"{named} builds another model each time", function)
        return model

    def fresh_teacher(self, seed: int) -> nn.Module:
        """The teacher with untrained weights, also where its builder loads trained ones."""
        model = self.build((), seed)
        if self.loaded.workload.train_teacher is None:
            with reproducible(seed, self.threads):
                for module in model.modules():
                    reset = getattr(module, "reset_parameters", None)
                    if callable(reset):
                        reset()
        return model

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

    def is_derived(self, student: Student) -> bool:
        """Whether the student is cut out of the teacher, for want of a student builder."""
        workload = self.loaded.workload
        return bool(student) and workload.student is None and workload.teacher is not None

    def cut_out(self, teacher: nn.Module, student: Student) -> nn.Module:
        """A student out of a teacher. How was found once, on untrained weights, so that shapes stay.

        Raises:
            UserError, UnsupportedError: as `build`.
        """
        refuse_program(teacher, "and no student can be cut out of it")
        with reproducible(0, self.threads):
            return self._derivation(tuple(sorted(student))).apply(teacher, self.sample(2))

    def _derivation(self, student: Student) -> Derivation:
        if student not in self._derivations:
            depth, macs = student_shares(student)
            with reproducible(0, self.threads):
                found = find_derivation(self.build(()), depth, macs, self.sample(2))
            self._derivations[student] = found
        return self._derivations[student]

    @cached_property
    def initial_digest(self) -> str:
        """Digest of the weights that the teacher is built with."""
        teacher = self.build(())
        weights = state_digest(teacher)
        return f"{weights} of {teacher.digest}" if isinstance(teacher, Program) else weights

    # -- candidates -------------------------------------------------------------------------------

    def untrained(self, candidate: Candidate) -> nn.Module:
        """The candidate's structure with weights that mean nothing, pruned and masked, in evaluation mode.

        No two weights are alike, as in a trained model: compilers keep equal tensors once.

        Raises:
            UnsupportedError: the model cannot be pruned in this way.
        """
        model = self.build(candidate.student)
        with reproducible(0, self.threads):
            make_unequal(model)
        self.sparsify(model, candidate)
        return model.eval()

    def untrained_key(self, candidate: Candidate) -> str:
        """Content key of `untrained(candidate)`."""
        built = candidate.student and not self.is_derived(candidate.student)
        initial = "" if built else self.initial_digest
        return keys.structure_key(
            candidate.student, candidate.sparsity, self.loaded.source_digest, initial, self.tools
        )

    def structure(self, candidate: Candidate) -> nn.Module:
        """The candidate's structure, to take weights that mean something."""
        return self.untrained(replace(candidate, sparsity=structure_of(candidate)[1]))

    def sparsify(self, model: nn.Module, candidate: Candidate) -> Masks:
        """Prune or mask in place; channels that are gone need no mask."""
        sparsity = Sparsity.parse(candidate.sparsity)
        if sparsity.kind != "dense":
            refuse_program(model, f"which does not tell its layers, so there is no {candidate.sparsity}")
        if sparsity.kind == "channel":
            cut, sample = self._cut(candidate.student, sparsity.share), self.sample(2)
            with reproducible(0, self.threads):
                prune_channels(model, sparsity.share, sample, cut)
        if sparsity.kind in ("dense", "channel"):
            return Masks()
        apply_masks(model, masks := magnitude_masks(plain_weights(model), sparsity))
        return masks

    def _cut(self, student: Student, share: float) -> Cut:
        """Layers to prune, found once on untrained weights, so that trained ones lead to the same shapes."""
        if (student, share) not in self._cuts:
            with reproducible(0, self.threads):
                self._cuts[student, share] = prunable_layers(self.build(student), share, self.sample(2))
        return self._cuts[student, share]

    def whole_layers(self, candidate: Candidate) -> tuple[str, ...]:
        """A note on layers that keep all their channels where others lost some, and why; none without any."""
        student, (_, sparsity) = tuple(sorted(candidate.student)), structure_of(candidate)
        found, notes = self._derivations.get(student), []
        if found is not None and found.cut is not None and found.cut.refused:
            share = f"{found.macs / found.teacher_macs:.0%} of the teacher's multiply-adds are left"
            notes.append(f"{share}; these layers keep their width: {named_layers(found.cut.refused)}")
        cut = self._cuts.get((candidate.student, Sparsity.parse(sparsity).share))
        if cut is not None and cut.refused:
            notes.append(f"{sparsity}: these layers keep their width: {named_layers(cut.refused)}")
        return tuple(notes)

    def size(self, candidate: Candidate) -> dict[str, int]:
        """`parameters` and `macs` (for one sample) of a candidate's structure, zeros counted as weights."""
        structure = structure_of(candidate)
        if structure not in self.sizes:
            self.sizes[structure] = model_size(self.structure(candidate), self.sample(1))
        return self.sizes[structure]

    # -- models and the store ---------------------------------------------------------------------

    def sample(self, count: int) -> list[Tensor]:
        """Copies of the first few training inputs, as tensors: a forward pass may change its own in place."""
        return [tensor.clone() for tensor in tensors(self.loaded.splits.train.head(count).inputs)]

    @property
    def metric(self) -> Metric:
        """The workload's metric."""
        return self.loaded.workload.metric

    def checked(self, model: nn.Module, name: str) -> dict[str, Array]:
        """Outputs of a model by name for a few samples, after the checks of `check_model`."""
        workload = self.loaded.workload
        return check_model(model, self.loaded.splits.train, workload.metric, name, workload.outputs)

    @cached_property
    def outputs(self) -> OutputChoice:
        """Which outputs of the models are meant, by a run of the untrained teacher over a few samples.

        Raises:
            UserError: more than one reading, or an output is called as an input.
        """
        sample, teacher = self.loaded.splits.train.head(_FEW), self.build(())
        self.checked(teacher, "teacher")
        found = self.predicted(teacher, sample)
        twice = sorted(set(found) & set(sample.inputs))
        if twice:
            raise UserError(
                f"an output of the model is called as its input {twice[0]!r}",
                place=f"workload {self.loaded.workload.name}",
                remedy="give the output another name",
            )
        return choose_outputs(self.loaded.workload, found, sample.labels)

    def predicted(self, model: nn.Module, split: Split) -> dict[str, Array]:
        """All outputs of a model by name over a split, in evaluation mode (axis 0 = samples)."""
        return predict_all(model, split, self.loaded.workload.outputs)

    def for_metric(self, model: nn.Module, split: Split) -> Outputs:
        """What the metric is given of a model over a split."""
        return self.outputs.for_metric(self.predicted(model, split))

    def quality(self, model: nn.Module, split: Split, place: str = "in PyTorch") -> float:
        """The workload's metric of a model over a split, in PyTorch.

        Raises:
            StageError: the metric gives no finite number.
        """
        return self.metric.score(self.for_metric(model, split), split.labels, place=place)

    def written(self, model: nn.Module, into: Path) -> dict[str, int]:
        """Write the weights and return parameters and multiply-adds."""
        save_model(model, str(into / WEIGHTS))
        return model_size(model, self.sample(1))

    def provenance(self, **made_from: Any) -> dict[str, Any]:
        """What an entry was made from, and by whom."""
        by = {"pid": os.getpid(), "threads": self.threads or torch.get_num_threads()}
        return {**made_from, "by": by, "tools": self.tools, "workload": self.loaded.workload.name}


def with_weights(model: nn.Module, entry: Entry) -> nn.Module:
    """The model, in evaluation mode, with the weights of an entry.

    Raises:
        InternalError: the weights are those of another structure.
    """
    try:
        load_model(model, entry.file(WEIGHTS))
    except RuntimeError as error:
        raise InternalError(f"weights of {entry.stage} {entry.key[:12]} do not fit: {error}") from error
    return model.eval()


def structure_of(candidate: Candidate) -> Structure:
    """The structure of a candidate: zeros in weights do not change it, channels that are gone do."""
    return candidate.student, candidate.sparsity if candidate.sparsity.startswith("channel") else "dense"


def student_title(student: Student) -> str:
    """The builder's arguments in one line."""
    return " ".join(f"{name}={value}" for name, value in student) or "the teacher"
