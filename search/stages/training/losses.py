"""What a student's training makes small: its distance from the labels and from the teacher, by task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ....profiles.errors import UserError

CLASSES, TOKENS, NUMBERS, MULTI_LABEL = "classification", "token-classification", "regression", "multi-label"
TASKS = (CLASSES, TOKENS, NUMBERS, MULTI_LABEL)

LossFunction = Callable[..., Any]
"""A workload's own loss: `function(outputs, labels, teacher_outputs)` gives one number as a tensor."""
Loss = str | LossFunction

_ACCEPTED = (
    "class numbers [N] with outputs [N, classes]; class numbers [N, T] with outputs [N, T, classes] "
    "(negative ones are left out); decimal numbers in the shape of the outputs; or 0 and 1 in that shape"
)


def check_trainable(labels: Tensor, outputs: Tensor, loss: Loss | None = None) -> Loss:
    """The loss for these labels and outputs: `loss` where it is given, else the task that their types and
    shapes tell (axis 0 = samples; `outputs` only for its shape).

    Raises:
        UserError: the loss has no meaning for these labels and outputs.
    """
    if callable(loss):
        return loss
    if loss is not None and loss not in TASKS:
        raise UserError(
            "not a loss",
            place="`loss` of the workload",
            found=repr(loss),
            accepted=f"{', '.join(TASKS)}, or a function of outputs, labels and the teacher's outputs",
        )
    fitting = [task for task in TASKS if _fits(task, labels, outputs)]
    if not fitting or loss not in (None, *fitting):
        raise UserError(
            "students cannot be trained on these labels" + (f" by the loss {loss!r}" if loss else ""),
            place="split 'train'",
            found=f"labels {_described(labels)}, outputs {list(outputs.shape)}",
            accepted=_ACCEPTED,
            remedy="change the labels, or give the workload a `loss` of its own",
        )
    return loss or fitting[0]


def task_of(labels: NDArray[Any], outputs: NDArray[Any], loss: Loss | None = None) -> str | None:
    """Which of `TASKS` labels and outputs are of; None where only a loss of the user's own knows."""
    wanted, tensor = None if callable(loss) else loss, torch.from_numpy(np.ascontiguousarray(labels))
    try:
        found = check_trainable(tensor, torch.empty(outputs.shape), wanted)
    except UserError:
        return None
    return found if isinstance(found, str) else None


def _fits(task: str, labels: Tensor, outputs: Tensor) -> bool:
    same = labels.shape == outputs.shape
    if task == NUMBERS:
        return same and labels.is_floating_point()
    if task == MULTI_LABEL:
        return same and bool(((labels == 0) | (labels == 1)).all())
    whole = not labels.is_floating_point() and not labels.is_complex() and labels.dtype != torch.bool
    shaped = whole and labels.shape == outputs.shape[:-1] and outputs.shape[-1] > 1
    if not shaped or labels.ndim != (1 if task == CLASSES else 2):
        return False
    in_range = labels.numel() == 0 or int(labels.max()) < outputs.shape[-1]
    return in_range and (task == TOKENS or labels.numel() == 0 or int(labels.min()) >= 0)


def _described(labels: Tensor) -> str:
    text = f"{labels.dtype}{list(labels.shape)}".replace("torch.", "")
    return text + (f" from {labels.min().item():g} to {labels.max().item():g}" if labels.numel() else "")


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

    Classes (also of tokens): T^2 * KL(teacher || student) at temperature T, and cross-entropy (Hinton et al.
    2015, arXiv:1503.02531, section 2). Several labels: the same for each label alone, as binary
    cross-entropy against the teacher's sigmoid at T. Numbers: squared errors.

    Raises:
        UserError: the workload's own loss did not return one number that depends on the outputs.
    """
    if callable(loss):
        return _own(loss(outputs, labels, teacher))
    if loss == TOKENS:
        outputs, labels, teacher = _labelled(outputs, labels, teacher)
    hard = _against_labels(loss, outputs, labels)
    if teacher is None or not distill_weight:
        return hard
    soft = _against_teacher(loss, outputs, teacher, temperature)
    scale = 1 if loss == NUMBERS else temperature**2  # keeps the gradient's size at any temperature
    return distill_weight * scale * soft + (1 - distill_weight) * hard


def _labelled(
    outputs: Tensor, labels: Tensor, teacher: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Tokens that have a label, as samples of their own; padding must teach nothing."""
    rows = labels >= 0
    return outputs[rows], labels[rows], None if teacher is None else teacher[rows]


def _against_labels(task: str, outputs: Tensor, labels: Tensor) -> Tensor:
    if task == NUMBERS:
        return F.mse_loss(outputs, labels)
    if task == MULTI_LABEL:
        return F.binary_cross_entropy_with_logits(outputs, labels.to(outputs.dtype))
    if not len(labels):  # a batch in which no token has a label: its mean would be 0 / 0
        return outputs.sum() * 0
    return F.cross_entropy(outputs, labels.long())


def _against_teacher(task: str, outputs: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    if task == NUMBERS:
        return F.mse_loss(outputs, teacher)
    if task == MULTI_LABEL:
        wanted = torch.sigmoid(teacher / temperature)
        return F.binary_cross_entropy_with_logits(outputs / temperature, wanted)
    if not len(outputs):
        return outputs.sum() * 0
    student = F.log_softmax(outputs / temperature, dim=1)
    wanted = F.log_softmax(teacher / temperature, dim=1)
    return F.kl_div(student, wanted, reduction="batchmean", log_target=True)


def _own(value: Any) -> Tensor:
    if isinstance(value, Tensor) and value.numel() == 1 and value.requires_grad:
        return value.reshape(())
    shape = f"a tensor of shape {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
    dependent = isinstance(value, Tensor) and not value.requires_grad
    raise UserError(
        "the workload's own loss did not return one number to make small",
        place="`loss` of the workload",
        found=shape + (" that does not depend on the outputs" if dependent else ""),
        accepted="a tensor with one value, computed from the outputs by torch",
    )
