"""Content keys of all that training makes. Raise a stage's version when its code changes what it makes."""

from __future__ import annotations

from collections.abc import Mapping

from ..candidate import Recipe, Scalar
from ..store import content_key

TEACHER_VERSION, SOFT_TARGETS_VERSION, DISTILL_VERSION, PRUNE_VERSION, STRUCTURE_VERSION = 1, 1, 1, 1, 1

Digests = Mapping[str, str]


def teacher_key(source: str, data: Digests, initial: str, tools: Digests) -> str:
    """The teacher. `source`: digest of the workload's code; `data`: of each split; `initial`: of the weights
    that the teacher is built with; `tools`: versions by package."""
    fields = {"source": source, "data": dict(data), "initial": initial, "tools": dict(tools)}
    return content_key("teacher", TEACHER_VERSION, fields)


def soft_targets_key(teacher: str, train: str) -> str:
    """The teacher's outputs over the training split."""
    return content_key("soft-targets", SOFT_TARGETS_VERSION, {"teacher": teacher, "train": train})


def distill_key(
    student: tuple[tuple[str, Scalar], ...], recipe: Recipe, source: str, targets: str, data: Digests
) -> str:
    """A dense student. `targets` is the key of the soft targets, which names the teacher and its tools.

    Of the recipe all counts but the fine-tuning, which comes later: dense and sparse candidates share this.
    """
    fields = {
        "student": [list(pair) for pair in sorted(student)],
        "recipe": _recipe_fields(recipe, recipe.epochs),
        "source": source,
        "targets": targets,
        "validation": data["validation"],
    }
    return content_key("distill", DISTILL_VERSION, fields)


def prune_key(base: str, sparsity: str, recipe: Recipe, targets: str, tools: Digests) -> str:
    """A sparse model made from the dense one under the key `base` and fine-tuned."""
    fields = {
        "base": base,
        "sparsity": sparsity,
        "recipe": _recipe_fields(recipe, recipe.finetune_epochs),
        "targets": targets,
        "tools": dict(tools),
    }
    return content_key("prune", PRUNE_VERSION, fields)


def structure_key(
    student: tuple[tuple[str, Scalar], ...], sparsity: str, source: str, initial: str, tools: Digests
) -> str:
    """An untrained model: what it is built from, and nothing of any training."""
    fields = {
        "student": [list(pair) for pair in sorted(student)],
        "sparsity": sparsity,
        "source": source,
        "initial": initial,
        "tools": dict(tools),
    }
    return content_key("structure", STRUCTURE_VERSION, fields)


def _recipe_fields(recipe: Recipe, epochs: int) -> dict[str, float | int]:
    return {
        "epochs": epochs,
        "temperature": float(recipe.temperature),
        "distill_weight": float(recipe.distill_weight),
        "learning_rate": float(recipe.learning_rate),
        "batch": recipe.batch,
        "seed": recipe.seed,
    }
