"""Students by candidate: distillation, pruning with fine-tuning, and the models behind the entries.

Each result is kept in the store, so no teacher and no pair of student and recipe is ever trained twice on one
store, whatever precision, backend or device it is tried with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ....profiles.errors import InternalError, StageError, UnsupportedError, UserError
from ...record.candidate import Candidate, Recipe, Sparsity
from ...record.protocols import RungJudge
from ...store.store import Entry
from ...workload.split_checks import check_splits
from ..cutting.prune import Cut, model_size, prunable_layers, prune_channels
from ..network.predict import tensors
from ..network.reproducible import make_unequal, reproducible
from ..training.loop import Control, Data, Plan, never_stops, steps_of, train
from ..training.masks import GradualMasks, Masks, apply_masks, check_masks, magnitude_masks
from . import keys
from .model_checks import check_model, check_same_outputs
from .teacher import Student, student_title
from .teaching import Note as Note
from .teaching import TeachingStages

Structure = tuple[Student, str]
"""What the sizes of a model's layers depend on: the student, and the sparsity where it removes channels."""


@dataclass(kw_only=True)
class ModelStages(TeachingStages):
    """Models of one workload. Backend, precision and calibration of a candidate are not read."""

    _prunable_layers: dict[tuple[Student, float], Cut] = field(default_factory=dict)
    _sizes: dict[Structure, dict[str, int]] = field(default_factory=dict)

    def prepare(self, students: Iterable[Student] = (), recipe: Recipe | None = None) -> Entry:
        """Check data, teacher and each student size, and train the teacher if it is not in the store.

        With a recipe, each student also takes up to three training steps, which must give finite losses.

        Raises:
            UserError: something in the workload is wrong; the message names the place and the remedy.
        """
        check_splits(self.loaded.splits, self.metric)
        models = self.built(students)
        names = {student: f"student {student_title(student)}" for student in models}
        shapes = {
            student: check_model(model, self.train_split, self.metric, names[student])
            for student, model in models.items()
        }
        entry = self.teacher()
        teacher_shape = tuple(entry.meta["output_shape"])
        self._sizes[(), "dense"] = {name: entry.meta[name] for name in ("parameters", "macs")}
        for student, model in models.items():
            check_same_outputs(names[student], shapes[student], teacher_shape)
            self._sizes[tuple(sorted(student)), "dense"] = model_size(model, self.sample(1))
            if recipe is not None:
                self._try_training(model, student, recipe, teacher_shape)
        return entry

    def trains(self, candidate: Candidate) -> bool:
        """Whether this candidate needs training beyond the teacher's own."""
        return self.loaded.workload.onnx is None and not candidate.is_teacher

    def untrained(self, candidate: Candidate) -> nn.Module:
        """The candidate's structure with weights that mean nothing, pruned and masked, in evaluation mode.

        No two weights are alike, as in a trained model: compilers keep equal tensors once.

        Raises:
            UnsupportedError: the model cannot be pruned in this way.
        """
        model = self.build(candidate.student)
        with reproducible(0, self.threads):
            make_unequal(model)
        self._sparsified(model, candidate)
        return model.eval()

    def untrained_key(self, candidate: Candidate) -> str:
        """Content key of `untrained(candidate)`."""
        built = candidate.student and not self.is_derived(candidate.student)
        initial = "" if built else self.initial_digest
        source = self.loaded.source_digest
        return keys.structure_key(candidate.student, candidate.sparsity, source, initial, self.tools)

    def trained_key(self, candidate: Candidate) -> str:
        """Content key of `trained(candidate)`; trains nothing."""
        if candidate.is_teacher:
            return self.teacher_key
        recipe = _recipe(candidate)
        lesson = self.lesson(recipe)
        if candidate.sparsity != "dense":
            base = self.trained_key(replace(candidate, sparsity="dense"))
            return keys.prune_key(base, candidate.sparsity, recipe, lesson, self.tools)
        source, data = self.loaded.source_digest, self.loaded.data_digests
        initial = self.teacher_key if self.is_derived(candidate.student) else ""
        return keys.distill_key(candidate.student, recipe, source, lesson, data, self.tools, initial)

    def trained(
        self, candidate: Candidate, note: Note = lambda entry: None, judge: RungJudge | None = None
    ) -> Entry:
        """The candidate's trained weights; read them with `load`. `note` is told each entry on the way, and
        `judge` may end a training at its rungs (None: it never does).

        `meta` has `quality` by split (validation; in PyTorch), `parameters`, `macs`, `losses` by epoch,
        `curve` (pairs of epochs done and quality on validation, the last one at the end), `earlier_seconds`
        (spent by calls that were interrupted or stopped), `remarks` (sentences on a teacher that this student
        puts in doubt), for sparse models `zeros` (share by layer) and `notes`, and where the recipe has a
        patience `best_epoch` (of the weights kept).

        Raises:
            Interrupted: training was asked to stop; it goes on from the last epoch when called again.
            TrainingStopped: the judge gave a training up; it goes on from that rung when called again.
            StageError: the loss became not finite.
            UnsupportedError: the model cannot be pruned in this way, or comes from an earlier version.
        """
        judge = judge or never_stops
        recipe = candidate.recipe
        if recipe is not None and recipe.order != Recipe.order:
            raise UnsupportedError(f"models of the order {recipe.order} are not made any more")
        if recipe is not None and recipe.hidden_weight:
            raise UnsupportedError("students are not trained on hidden states any more")
        if candidate.is_teacher:
            entry = self.teacher()
        elif candidate.sparsity == "dense":
            entry = self._distilled(candidate, note, judge)
        else:
            entry = self._pruned(candidate, note, judge)
        note(entry)
        return entry

    def without_teacher(self, candidate: Candidate, note: Note = lambda entry: None) -> Entry:
        """The same student trained by the same recipe on the labels alone, for the gain that the teacher
        brings: compare its `quality` with that of `trained`. Kept like every training.

        Raises:
            UnsupportedError: the workload's own loss decides what the teacher says, or nothing is trained.
            Interrupted, StageError: as `trained`.
        """
        if callable(self.loaded.workload.loss):
            raise UnsupportedError(
                "the gain over training without the teacher is not known: the workload's own loss decides "
                "what the teacher is asked"
            )
        if candidate.recipe is None or not self.trains(candidate):
            raise UnsupportedError(f"{candidate.title} is not trained, so nothing is gained by its training")
        return self.trained(replace(candidate, recipe=untaught(candidate.recipe)), note)

    def load(self, entry: Entry, candidate: Candidate) -> nn.Module:
        """The model of a trained candidate, in evaluation mode.

        Raises:
            InternalError: the entry belongs to a model of another structure.
        """
        return self.with_weights(self._structure(candidate), entry)

    def size(self, candidate: Candidate) -> dict[str, int]:
        """`parameters` and `macs` (for one sample) of a candidate's structure, zeros counted as weights."""
        structure = structure_of(candidate)
        if structure not in self._sizes:
            self._sizes[structure] = model_size(self._structure(candidate), self.sample(1))
        return self._sizes[structure]

    def counted(self, structure: Structure) -> dict[str, int] | None:
        """What `size` says about a structure, None where it was not counted yet; builds nothing."""
        return self._sizes.get(structure)

    def _structure(self, candidate: Candidate) -> nn.Module:
        return self.untrained(replace(candidate, sparsity=structure_of(candidate)[1]))

    def _prunable(self, student: Student, share: float) -> Cut:
        """Layers to prune, found once on untrained weights, so that trained ones lead to the same shapes."""
        if (student, share) not in self._prunable_layers:
            with reproducible(0, self.threads):
                layers = prunable_layers(self.build(student), share, self.sample(2))
            self._prunable_layers[student, share] = layers
        return self._prunable_layers[student, share]

    def _sparsified(self, model: nn.Module, candidate: Candidate) -> Masks:
        """Prune or mask in place; channels that are gone need no mask."""
        sparsity = Sparsity.parse(candidate.sparsity)
        if sparsity.kind == "channel":
            layers = self._prunable(candidate.student, sparsity.share)
            prune_channels(model, sparsity.share, self.sample(2), layers)
        if sparsity.kind in ("dense", "channel"):
            return Masks()
        masks = magnitude_masks(model, sparsity)
        apply_masks(model, masks)
        return masks

    def _distilled(self, candidate: Candidate, note: Note, judge: RungJudge) -> Entry:
        recipe, key = _recipe(candidate), self.trained_key(candidate)
        found = self.store.get("distill", key)
        if found is not None:
            return found
        data = self._data(note, recipe)

        def make(into: Path) -> Mapping[str, Any]:
            model = self.initial(candidate.student, recipe.seed)
            history = self._train(model, data, _plan("distill", recipe), self._watch(key, "distill", judge))
            self.counters["trainings"] += 1
            return self._result(model, history, into)

        provenance = {"student": dict(candidate.student), "recipe": recipe, "teacher": self.teacher_key}
        return self.store.produce("distill", key, self._by(provenance), make)

    def _pruned(self, candidate: Candidate, note: Note, judge: RungJudge) -> Entry:
        recipe, key = _recipe(candidate), self.trained_key(candidate)
        found = self.store.get("prune", key)
        if found is not None:
            return found
        dense = replace(candidate, sparsity="dense")
        base = self.trained(dense, note, judge)  # not within `make`: its seconds are not those of the pruning
        data = self._data(note, recipe)
        plan = _plan("finetune", recipe)

        def make(into: Path) -> Mapping[str, Any]:
            model = self.load(base, dense)
            masks = self._masks(model, candidate, steps_of(plan, len(data)))
            history = self._train(model, data, plan, self._watch(key, "prune", judge), masks)
            self.counters["finetunings"] += 1
            last = masks.masks if isinstance(masks, GradualMasks) else masks
            zeros = check_masks(model, last)
            return {**self._result(model, history, into), "zeros": zeros, "notes": last.notes}

        provenance = {"base": base.key, "sparsity": candidate.sparsity, "recipe": recipe}
        return self.store.produce("prune", key, self._by(provenance), make)

    def _masks(self, model: nn.Module, candidate: Candidate, steps: int) -> Masks | GradualMasks:
        """Prune or mask in place; masks of the unstructured kind are still to grow."""
        sparsity = Sparsity.parse(candidate.sparsity)
        if sparsity.kind == "unstructured":
            return GradualMasks(sparsity, steps)
        return self._sparsified(model, candidate)

    def _try_training(
        self, model: nn.Module, student: Student, recipe: Recipe, shape: tuple[int, ...]
    ) -> None:
        split = self.train_split.head(3 * recipe.batch)
        targets = torch.zeros((len(split), *shape))
        labels = torch.from_numpy(np.ascontiguousarray(split.labels))
        loss = self._loss(labels, targets)
        inputs = tensors(split.inputs)
        data = Data(inputs=inputs, labels=labels, soft_targets=targets, loss=loss)
        try:
            with reproducible(recipe.seed, self.threads):
                plan = replace(_plan("distill", recipe), epochs=1, patience=0)
                train(model, data, plan, None, Control())
        except (StageError, RuntimeError) as error:
            raise UserError(
                f"the first training steps failed: {error}",
                place=f"student {student_title(student)}, train[:{len(split)}]",
                remedy="lower training.learning_rate, check the scale of the inputs, or correct the model",
            ) from error


def structure_of(candidate: Candidate) -> Structure:
    """The structure of a candidate: zeros in weights do not change it, channels that are gone do."""
    return candidate.student, candidate.sparsity if candidate.sparsity.startswith("channel") else "dense"


def untaught(recipe: Recipe) -> Recipe:
    """The recipe without anything that the teacher says."""
    return replace(recipe, distill_weight=0.0)


def _recipe(candidate: Candidate) -> Recipe:
    if candidate.recipe is None:
        raise InternalError(f"candidate {candidate.title} is to be trained, but has no recipe")
    return candidate.recipe


def _plan(stage: str, recipe: Recipe) -> Plan:
    fine = stage == "finetune"
    return Plan(
        stage=stage,
        epochs=recipe.finetune_epochs if fine else recipe.epochs,
        learning_rate=recipe.learning_rate,
        batch=recipe.batch,
        temperature=recipe.temperature,
        distill_weight=recipe.distill_weight,
        seed=recipe.seed,
        patience=recipe.patience,
    )
