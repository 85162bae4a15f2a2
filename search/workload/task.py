"""What a model is for, as one value: said by the workload, or read from labels, metric and outputs."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from ...profiles.errors import UserError
from .metric import Array, Metric

CLASSES, TOKENS, SEGMENTATION = "classification", "token-classification", "segmentation"
NUMBERS, MULTI_LABEL, EMBEDDING, UNKNOWN = "regression", "multi-label", "embedding", "unknown"
CLASS_TASKS = (CLASSES, TOKENS, SEGMENTATION)
TASKS = (*CLASS_TASKS, MULTI_LABEL, NUMBERS, EMBEDDING, UNKNOWN)

_ACCEPTED = {
    CLASSES: "class numbers [N] with outputs [N, classes]",
    TOKENS: "class numbers [N, T] with outputs [N, T, classes] or [N, classes, T] (negative ones are left "
    "out)",
    SEGMENTATION: "class numbers [N, H, W] with outputs [N, classes, H, W] or [N, H, W, classes] (negative "
    "ones are left out)",
    MULTI_LABEL: "0 and 1 in the shape of the outputs",
    NUMBERS: "numbers in the shape of the outputs",
    EMBEDDING: "any labels: students learn from the teacher alone",
}
_OF_NUMBERS = ("rmse", "mae", "mse", "psnr", "ssim", "r2", "mape", "smape", "pearson", "spearman")
_OF_DECISIONS = ("accuracy", "f1_macro", "auc", "miou", "perplexity")
_FAR_MORE = 2  # times as many columns as classes: they may be an embedding's
_SURE = 3.0  # standard errors
_LOGITS = 0.1  # share of outputs that no number near 0 or 1 would explain


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the trained teacher says about some samples (axis 0)."""

    outputs: Array
    labels: Array


@dataclass(frozen=True, kw_only=True)
class Task:
    """`name` is one of `TASKS`, `because` says why it was read so. `class_axis`: which axis of the outputs
    has the classes (1 or -1), where there are any. `probabilities`: outputs lie between 0 and 1 already, and
    the losses take their logarithms. `settled`: False where the trained teacher's outputs still have a say.
    """

    name: str
    because: str
    class_axis: int = -1
    probabilities: bool = False
    settled: bool = True

    @property
    def has_classes(self) -> bool:
        """Whether outputs score classes, of samples, tokens or pixels."""
        return self.name in CLASS_TASKS


def as_task(task: Task | str) -> Task:
    """A task by its name, of outputs as they usually are."""
    if isinstance(task, Task):
        return task
    return Task(name=task, because="", class_axis=1 if task == SEGMENTATION else -1)


def read_task(
    labels: Array,
    shape: tuple[int, ...],
    metric: Metric,
    *,
    declared: str | None = None,
    seen: Seen | None = None,
) -> Task:
    """The task of labels (axis 0 = samples) and outputs of this `shape` per sample. `seen` has the trained
    teacher's outputs for some samples (None: not known yet).

    Raises:
        UserError: what is declared does not fit, or nothing does; lists the readings and the line to write.
    """
    found = possible_tasks(labels, shape)
    if declared is not None:
        _check_declared(declared, found, labels, shape)
        name, because, settled = declared, "the workload says so", True
    elif not found:
        raise _no_reading(labels, shape, "")
    else:
        name, because, settled = _inferred(found, labels, shape, metric, seen)
    axis = class_axis(labels, shape) or -1
    given = seen is not None and are_probabilities(name, axis, seen.outputs)
    if given:
        because += "; its outputs are probabilities already"
    return Task(name=name, because=because, class_axis=axis, probabilities=given, settled=settled)


def task_or_unknown(
    labels: Array, shape: tuple[int, ...], metric: Metric, declared: str | None, seen: Seen | None
) -> Task:
    """`read_task` where nothing is trained: `UNKNOWN` in the place of an error."""
    try:
        return read_task(labels, shape, metric, declared=declared, seen=seen)
    except UserError as error:
        return unknown(error)


def unknown(error: UserError) -> Task:
    """The task that could not be read, for the reason that the error states."""
    return Task(name=UNKNOWN, because=": ".join(filter(None, (error.problem, error.found))))


def possible_tasks(labels: Array, shape: tuple[int, ...]) -> tuple[str, ...]:
    """The tasks that types, shapes and values of the labels allow, but for an embedding, which any do."""
    axis = class_axis(labels, shape)
    if axis is not None:
        low, name = (0 if labels.ndim == 1 else None), {1: CLASSES, 2: TOKENS}.get(labels.ndim, SEGMENTATION)
        columns = shape[0 if axis == 1 else -1]
        inside = not labels.size or (labels.max() < columns and (low is None or labels.min() >= low))
        return (name,) if inside else ()
    if not alike(labels.shape[1:], shape) or labels.dtype.kind not in "fiub":
        return ()
    if bool(((labels == 0) | (labels == 1)).all()):
        return (MULTI_LABEL, NUMBERS) if labels.dtype.kind != "b" else (MULTI_LABEL,)
    return (NUMBERS,)


def class_axis(labels: Array, shape: tuple[int, ...]) -> int | None:
    """Which axis of outputs of this shape per sample (counted with the samples: 1 or -1) scores classes for
    labels that are whole numbers; None where there is none. Where both would do, tokens have it last and
    pixels first, as is usual."""
    wanted = labels.shape[1:]
    if labels.dtype.kind not in "iu" or len(shape) != len(wanted) + 1:
        return None
    fitting = [axis for axis, rest in ((1, shape[1:]), (-1, shape[:-1])) if rest == wanted]
    fitting = [axis for axis in fitting if shape[0 if axis == 1 else -1] > 1]
    if not fitting:
        return None
    return fitting[0] if labels.ndim > 2 else fitting[-1]


def alike(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    """Whether two shapes per sample differ in nothing but axes of size 1."""
    return [size for size in one if size != 1] == [size for size in other if size != 1]


def _inferred(
    found: tuple[str, ...], labels: Array, shape: tuple[int, ...], metric: Metric, seen: Seen | None
) -> tuple[str, str, bool]:
    if found[0] == CLASSES and metric.name not in _OF_DECISIONS:
        return _classes_or_embedding(labels, shape, seen)
    if found == (MULTI_LABEL, NUMBERS):
        return _flags_or_numbers(metric, seen)
    said = f"labels are {_described(labels)}, outputs {_per_sample(shape)}"
    return found[0], said, True


def _classes_or_embedding(labels: Array, shape: tuple[int, ...], seen: Seen | None) -> tuple[str, str, bool]:
    """Class numbers may go with an embedding, whose metric alone compares with them."""
    classes = int(labels.max(initial=0)) + 1
    said = f"labels are class numbers up to {classes - 1}, outputs have {shape[0]} columns"
    if shape[0] < _FAR_MORE * classes:
        return CLASSES, said, True
    if seen is None:
        return CLASSES, f"{said}; the trained teacher's outputs will tell whether they score classes", False
    if _beats_chance(seen.outputs.argmax(axis=-1), seen.labels):
        return CLASSES, f"{said}, whose largest agrees with the labels better than chance", True
    return EMBEDDING, f"{said}, whose largest agrees with the labels no better than chance", True


def _beats_chance(decided: Array, labels: Array) -> bool:
    right = decided == labels
    classes = np.union1d(decided, labels)
    chance = sum(float((decided == c).mean() * (labels == c).mean()) for c in classes)
    error = np.sqrt(max(chance * (1 - chance), 1e-12) / max(1, len(labels)))
    return bool(right.mean() - chance > _SURE * error)


def _flags_or_numbers(metric: Metric, seen: Seen | None) -> tuple[str, str, bool]:
    """Labels that are all 0 or 1 in the shape of the outputs."""
    said = "labels are 0 and 1 in the shape of the outputs"
    if metric.name.lower() in _OF_NUMBERS:
        return NUMBERS, f"{said}, but {metric.name} is a metric of numbers", True
    if metric.higher_is_better:
        return MULTI_LABEL, f"{said}, and of {metric.name} higher is better", True
    lower = f"{said}, of {metric.name} lower is better"
    if seen is None:
        return NUMBERS, f"{lower}; the trained teacher's outputs will tell whether they are logits", False
    outputs = seen.outputs
    if bool(((outputs >= 0) & (outputs <= 1)).all()):
        return MULTI_LABEL, f"{lower}, and the teacher's outputs lie between 0 and 1", True
    if float(((outputs < -0.5) | (outputs > 1.5)).mean()) > _LOGITS:
        return MULTI_LABEL, f"{lower}, and the teacher's outputs are logits: far from 0 and 1", True
    return NUMBERS, f"{lower}, and the teacher's outputs lie around 0 and 1", True


def are_probabilities(name: str, axis: int, outputs: Array) -> bool:
    """Whether outputs of a task of classes or labels lie between 0 and 1, those of classes with the sum 1."""
    if name not in (*CLASS_TASKS, MULTI_LABEL) or not outputs.size:
        return False
    if not bool(((outputs >= -1e-6) & (outputs <= 1 + 1e-3)).all()):
        return False
    return name == MULTI_LABEL or bool((np.abs(outputs.sum(axis=axis) - 1) < 1e-3).all())


def _check_declared(declared: str, found: tuple[str, ...], labels: Array, shape: tuple[int, ...]) -> None:
    if declared not in TASKS:
        raise UserError(
            "not a task", place="`task` of the workload", found=repr(declared), accepted=", ".join(TASKS)
        )
    if declared not in (*found, EMBEDDING, UNKNOWN):
        raise _no_reading(labels, shape, declared)


def _no_reading(labels: Array, shape: tuple[int, ...], declared: str) -> UserError:
    wanted = [f"{name}: {text}" for name, text in _ACCEPTED.items() if declared in ("", name)]
    return UserError(
        "students cannot be trained on these labels" + (f" by the task {declared!r}" if declared else ""),
        place="split 'train'",
        found=f"labels {_described(labels)}, outputs {_per_sample(shape)}",
        accepted="; ".join(wanted),
        remedy="change the labels, give the workload a `loss` of its own, or say what the model is for: "
        f'`Workload(task="{EMBEDDING}", ...)` where its outputs are one',
    )


def _described(labels: Array) -> str:
    text = f"{labels.dtype}{list(labels.shape)}"
    if not labels.size or labels.dtype.kind not in "fiub":
        return text
    return f"{text} from {float(labels.min()):g} to {float(labels.max()):g}"


def _per_sample(shape: tuple[int, ...]) -> str:
    return f"[N, {', '.join(map(str, shape))}]" if prod(shape) or shape else "[N]"
