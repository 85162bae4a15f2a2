"""What a student's training makes small: its distance from the labels and from the teacher, by task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ....profiles.errors import InternalError
from ....profiles.guard.user_code import UserCodeError, shown
from ....profiles.guard.user_place import defined_at
from ...workload.task import CLASSES, EMBEDDING, MULTI_LABEL, NUMBERS, UNKNOWN, Task, as_task

LossFunction = Callable[..., Any]
"""A workload's own loss: `function(outputs, labels, teacher_outputs)` gives one number as a tensor."""
Loss = Task | str | LossFunction
"""A task, by its name too, or a loss of the workload's own."""

_LEAST = 1e-7  # of a probability, before its logarithm is taken


def training_loss(
    loss: Loss,
    outputs: Tensor,
    labels: Tensor,
    teacher: Tensor | None,
    *,
    temperature: float,
    distill_weight: float,
) -> Tensor:
    """The loss of a batch, one number: `distill_weight` of it compares with the teacher's outputs (None: not
    known, then the weight must be 0), the rest with the labels.

    Classes (also of tokens and pixels): T^2 * KL(teacher || student) at temperature T, and cross-entropy
    (Hinton et al. 2015, arXiv:1503.02531, section 2). Several labels: the same for each label alone, as
    binary cross-entropy against the teacher's sigmoid at T. Of outputs that are probabilities already,
    logarithms are taken. Numbers: squared errors. Embeddings: `embedding_loss` against the teacher alone.

    Raises:
        UserCodeError: the workload's own loss did not return one number that depends on the outputs.
    """
    if callable(loss):
        return _own(loss(outputs, labels, teacher), outputs, loss)
    task = as_task(loss)
    if task.name == EMBEDDING:
        return embedding_loss(outputs, _known(teacher))
    outputs, labels, teacher = _in_rows(task, outputs, labels, teacher)
    hard = _against_labels(task, outputs, labels)
    if teacher is None or not distill_weight:
        return hard
    soft = _against_teacher(task, outputs, teacher, temperature)
    scale = 1 if task.name == NUMBERS else temperature**2  # keeps the gradient's size at any temperature
    return distill_weight * scale * soft + (1 - distill_weight) * hard


def meant(named: Mapping[str, Tensor], primary: str, model: nn.Module) -> Tensor:
    """The output that labels belong to ("": the first).

    Raises:
        UserCodeError: in training the model gives others than in evaluation.
    """
    if primary and primary not in named:
        raise UserCodeError(
            f"in training the model gives no output {primary!r}",
            place=defined_at(model),
            found=f"outputs {', '.join(named)}",
            accepted="the same outputs in training as in evaluation",
        )
    return named[primary or next(iter(named))]


def others_loss(
    loss: Loss,
    primary: Tensor,
    outputs: Mapping[str, Tensor],
    teacher: Mapping[str, Tensor],
    temperature: float,
) -> Tensor:
    """What a batch costs in the outputs that no labels belong to: the mean of each one's distance from the
    teacher's own. One that is shaped as the `primary` one of classes scores classes too; of any other,
    squared errors against the teacher's mean square, so that none outweighs another by its unit."""
    task = as_task(UNKNOWN if callable(loss) else loss)
    classes = replace(task, probabilities=False) if task.has_classes else None
    costs = []
    for name, wanted in teacher.items():
        if classes is not None and wanted.shape == primary.shape:
            found, _, target = _in_rows(classes, outputs[name], None, wanted)
            costs.append(temperature**2 * _against_teacher(classes, found, _known(target), temperature))
        elif wanted.is_floating_point():
            costs.append(_relative(outputs[name], wanted))
    return torch.stack(costs).mean() if costs else primary.sum() * 0


def embedding_loss(outputs: Tensor, teacher: Tensor) -> Tensor:
    """How far vectors are from the teacher's: in direction (1 - cosine), and in squares against its own."""
    direction = 1 - F.cosine_similarity(outputs.flatten(1), teacher.flatten(1), dim=1).mean()
    return direction + _relative(outputs, teacher)


def _relative(outputs: Tensor, teacher: Tensor) -> Tensor:
    wanted = teacher.to(torch.promote_types(outputs.dtype, torch.float32))
    return F.mse_loss(outputs.to(wanted.dtype), wanted) / wanted.square().mean().clamp_min(1e-12)


def _known(teacher: Tensor | None) -> Tensor:
    if teacher is None:
        raise InternalError("this loss compares with the teacher, whose outputs are not known")
    return teacher


def _in_rows(
    task: Task, outputs: Tensor, labels: Tensor | None, teacher: Tensor | None
) -> tuple[Tensor, Any, Tensor | None]:
    """Outputs as logits; tokens and pixels that have a label as samples of their own (padding must teach
    nothing, all count where there are no labels); numbers in the shape of the outputs."""
    outputs = _logits(task, outputs)
    teacher = None if teacher is None else _logits(task, teacher)
    if task.has_classes and task.name != CLASSES:
        outputs, teacher = _flat(task, outputs), None if teacher is None else _flat(task, teacher)
        if labels is not None:
            rows, labels = labels.reshape(-1) >= 0, labels.reshape(-1)
            outputs, labels = outputs[rows], labels[rows]
            teacher = None if teacher is None else teacher[rows]
    elif labels is not None and not task.has_classes:
        labels = labels.reshape(outputs.shape)
        labels = labels if labels.is_floating_point() else labels.to(outputs.dtype)
    return outputs, labels, teacher


def _flat(task: Task, outputs: Tensor) -> Tensor:
    """One row of class scores for each token or pixel."""
    moved = outputs.movedim(task.class_axis, -1)
    return moved.reshape(-1, moved.shape[-1])


def _logits(task: Task, outputs: Tensor) -> Tensor:
    """What softmax or sigmoid makes the probabilities of: softmax of log p is p again."""
    if not task.probabilities:
        return outputs
    held = outputs.clamp(_LEAST, 1 - _LEAST)
    return torch.logit(held) if task.name == MULTI_LABEL else held.log()


def _against_labels(task: Task, outputs: Tensor, labels: Tensor) -> Tensor:
    if task.name == NUMBERS:
        return F.mse_loss(outputs, labels)
    if task.name == MULTI_LABEL:
        return F.binary_cross_entropy_with_logits(outputs, labels.to(outputs.dtype))
    if task.name == UNKNOWN:
        raise InternalError("there is no loss for an unknown task")
    if not len(labels):  # a batch in which no token has a label: its mean would be 0 / 0
        return outputs.sum() * 0
    return F.cross_entropy(outputs, labels.long())


def _against_teacher(task: Task, outputs: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    if task.name == NUMBERS:
        return F.mse_loss(outputs, teacher)
    if task.name == MULTI_LABEL:
        wanted = torch.sigmoid(teacher / temperature)
        return F.binary_cross_entropy_with_logits(outputs / temperature, wanted)
    if not len(outputs):
        return outputs.sum() * 0
    student = F.log_softmax(outputs / temperature, dim=1)
    wanted = F.log_softmax(teacher / temperature, dim=1)
    return F.kl_div(student, wanted, reduction="batchmean", log_target=True)


def _own(value: Any, outputs: Any, function: LossFunction) -> Tensor:
    ours = next(iter(outputs.values())) if isinstance(outputs, Mapping) else outputs
    if not isinstance(value, Tensor):
        wrong = f"{type(value).__name__} {shown(value)}"
    elif value.numel() != 1 or not value.is_floating_point():
        wrong = f"a tensor {shown(value)}"
    elif not value.requires_grad:
        wrong = "a tensor that does not depend on the outputs"
    elif value.device != ours.device:
        wrong = f"a tensor on {value.device}, the outputs are on {ours.device}"
    else:
        return value.reshape(())
    raise UserCodeError(
        "the workload's own loss did not return one number to make small",
        place=defined_at(function) or "`loss` of the workload",
        found=wrong,
        accepted="a tensor with one floating-point value, computed from the outputs by torch",
    )
