"""Content keys of all that training makes. Raise a stage's version when its code changes what it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ...record.candidate import Recipe, Scalar
from ...record.training import DISTILL, PRUNE
from ...record.treatment import QAT, QatPlan
from ...store.store import content_key
from ..training.loop import TrainingPlan, first_look

TEACHER_VERSION, SOFT_TARGETS_VERSION, DISTILL_VERSION, STRUCTURE_VERSION = 1, 1, 1, 2
PRUNE_VERSION = 3  # 1 removed the whole share before fine-tuning, 2 halved the learning rate for it
QAT_VERSION = 1
DERIVE_VERSION = 1  # of how students are cut out of their teacher
PROXIES_VERSION = 1
STARTS_VERSION = 1  # of when a training that stands still is started anew from untrained weights

Digests = Mapping[str, str]


def teacher_key(source: str, data: Digests, initial: str, tools: Digests, scored: Sequence[str] = ()) -> str:
    """The teacher. `source`: digest of the workload's code; `data`: of each split; `initial`: of the weights
    that the teacher is built with; `tools`: versions by package; `scored`: what the metric is given, where
    that is not the first output."""
    fields = {"source": source, "data": dict(data), "initial": initial, "tools": dict(tools)}
    if scored:
        fields["scored"] = list(scored)
    return content_key("teacher", TEACHER_VERSION, fields)


def soft_targets_key(teacher: str, train: str, outputs: Sequence[str] = ()) -> str:
    """The teacher's outputs over the training split; `outputs` are their names, the primary one first."""
    fields: dict[str, Any] = {"teacher": teacher, "train": train}
    if len(outputs) > 1:
        fields["outputs"] = list(outputs)
    return content_key("soft-targets", SOFT_TARGETS_VERSION, fields)


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What a training learns from besides the recipe. `targets` is the key of the soft targets, which names
    the teacher and its tools ("": the teacher's outputs are not read). `loss` says what the workload wants
    in place of the usual loss ("": nothing)."""

    targets: str
    loss: str = ""


def distill_key(
    student: tuple[tuple[str, Scalar], ...],
    recipe: Recipe,
    source: str,
    lesson: Lesson,
    data: Digests,
    tools: Digests,
    initial: str = "",
) -> str:
    """A dense student. `initial` is the key of the teacher that it is cut out of, if it is.

    Of the recipe all counts but the fine-tuning, which comes later: dense and sparse candidates
    share this.
    """
    fields: dict[str, Any] = {
        "student": [list(pair) for pair in sorted(student)],
        "recipe": _recipe_fields(recipe, recipe.epochs),
        "source": source,
        **_lesson_fields(lesson, recipe.epochs),
        "validation": data["validation"],
    }
    if not lesson.targets:
        fields["untaught"] = {"train": data["train"], "tools": dict(tools)}
    if initial:
        fields["derived"] = {"teacher": initial, "version": DERIVE_VERSION}
        if first_look(recipe.epochs):
            fields["derived"]["starts"] = STARTS_VERSION
    return content_key(DISTILL, DISTILL_VERSION, fields)


def prune_key(base: str, sparsity: str, recipe: Recipe, lesson: Lesson, tools: Digests) -> str:
    """A sparse model made from the dense one under the key `base` and fine-tuned."""
    epochs = recipe.finetune_epochs
    fields = {
        "base": base,
        "sparsity": sparsity,
        "recipe": _recipe_fields(recipe, epochs),
        **_lesson_fields(lesson, epochs),
        "tools": dict(tools),
    }
    return content_key(PRUNE, PRUNE_VERSION, fields)


def qat_key(
    base: str,
    plan: QatPlan,
    training: TrainingPlan,
    lesson: Lesson,
    data: Digests,
    tools: Digests,
    levels: int | None = None,
) -> str:
    """A model trained on from the one under the key `base`, with fake quantization. `levels` is the largest
    whole number of a weight, where it is not the one that most backends share."""
    fields: dict[str, Any] = {  # nothing of hidden states, which were compared once
        "base": base,
        "plan": asdict(plan),
        "training": {**asdict(training), "hidden_weight": 0.0},
        "lesson": {**asdict(lesson), "hidden": ""},
        "data": {name: data[name] for name in ("train", "validation", "calibration")},
        "tools": dict(tools),
    }
    if levels is not None:
        fields["levels"] = levels
    return content_key(QAT, QAT_VERSION, fields)


def structure_key(
    student: tuple[tuple[str, Scalar], ...], sparsity: str, source: str, initial: str, tools: Digests
) -> str:
    """An untrained model: what it is built from, and nothing of any training. `initial` is the digest of the
    teacher's first weights, where it has or is cut out of them."""
    fields: dict[str, Any] = {
        "student": [list(pair) for pair in sorted(student)],
        "sparsity": sparsity,
        "source": source,
        "initial": initial,
        "tools": dict(tools),
    }
    if student and initial:
        fields["derived"] = DERIVE_VERSION
    return content_key("structure", STRUCTURE_VERSION, fields)


def proxies_key(structure: str, weights: str, train: str, batch: int) -> str:
    """Zero-cost proxies of the model under the key `structure`. `weights` says which it has: those of a
    trained teacher, by its key, or untrained ones; `train` is the split that the batch is taken from."""
    fields = {"structure": structure, "weights": weights, "train": train, "batch": batch}
    return content_key("proxies", PROXIES_VERSION, fields)


def _lesson_fields(lesson: Lesson, epochs: int) -> dict[str, str]:
    """What counts of a lesson: nothing where nothing is trained."""
    if not epochs:
        return {"targets": ""}
    return {"targets": lesson.targets, **({"loss": lesson.loss} if lesson.loss else {})}


def _recipe_fields(recipe: Recipe, epochs: int) -> dict[str, float | int]:
    if not epochs:
        return {"epochs": 0, "seed": recipe.seed}
    fields = {
        "epochs": epochs,
        "temperature": float(recipe.temperature) if recipe.distill_weight else 0.0,
        "distill_weight": float(recipe.distill_weight),
        "learning_rate": float(recipe.learning_rate),
        "batch": recipe.batch,
        "seed": recipe.seed,
    }
    return {**fields, **({"patience": recipe.patience} if recipe.patience else {})}
