"""The training loop: distillation, with checkpoints from which a killed run goes on to the same bits."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...profiles.errors import StageError, UserError
from ..budget import Interrupted
from .predict import first_output
from .sparsity import Masks, apply_masks

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to train. `distill_weight` is the share of the loss that compares with the teacher."""

    stage: str
    epochs: int
    learning_rate: float
    batch: int
    temperature: float
    distill_weight: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class Data:
    """Training samples as tensors (axis 0 = samples) and the teacher's outputs for them."""

    inputs: list[Tensor]
    labels: Tensor
    soft_targets: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, kw_only=True)
class Control:
    """`should_stop` is asked after every epoch; `progress` is told a line about each."""

    should_stop: Callable[[], bool] = lambda: False
    progress: Callable[[str], None] = lambda line: None


def distillation_loss(outputs: Tensor, labels: Tensor, soft_targets: Tensor, plan: Plan) -> Tensor:
    """The student's loss for a batch.

    Classes: weight * T^2 * KL(teacher || student at temperature T) + (1 - weight) * cross-entropy
    (Hinton et al. 2015, arXiv:1503.02531, section 2). Numbers: the same mixture of squared errors.
    """
    weight = plan.distill_weight
    if labels.is_floating_point():
        return weight * F.mse_loss(outputs, soft_targets) + (1 - weight) * F.mse_loss(outputs, labels)
    warm = plan.temperature
    student = F.log_softmax(outputs / warm, dim=1)
    teacher = F.log_softmax(soft_targets / warm, dim=1)
    soft = F.kl_div(student, teacher, reduction="batchmean", log_target=True)
    return weight * warm**2 * soft + (1 - weight) * F.cross_entropy(outputs, labels)


def check_trainable(labels: Tensor, outputs: Tensor) -> None:
    """Raise UserError where the loss has no meaning for these labels and outputs."""
    classes = labels.ndim == 1 and not labels.is_floating_point() and outputs.ndim == 2
    numbers = labels.is_floating_point() and labels.shape == outputs.shape
    if not (classes or numbers):
        raise UserError(
            "students cannot be trained on these labels",
            place="split 'train'",
            found=f"labels {labels.dtype}{list(labels.shape)}, outputs {list(outputs.shape)}",
            accepted="class numbers [N] with outputs [N, classes], or numbers in the shape of the outputs",
        )


def train(
    model: nn.Module,
    data: Data,
    plan: Plan,
    checkpoint: Path | None,
    control: Control,
    masks: Masks | None = None,
) -> list[float]:
    """Train in place by Adam with a cosine schedule; returns the mean loss of each epoch.

    After each epoch everything is written to `checkpoint` (None: nowhere); if it is there already, training
    goes on from it, to the same bits that it would have reached at once. Run it inside `reproducible`.

    Raises:
        Interrupted: `control.should_stop()`; the checkpoint is written.
        StageError: the loss is not finite.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan.learning_rate, weight_decay=1e-4)
    steps = plan.epochs * -(-len(data) // plan.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(1, steps))
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
    losses = _resume(checkpoint, parts) if checkpoint else []
    for epoch in range(len(losses), plan.epochs):
        losses.append(_epoch(model, data, plan, optimizer, schedule, masks))
        _check_finite(losses[-1], plan, epoch + 1)
        control.progress(f"{plan.stage}: epoch {epoch + 1} of {plan.epochs}, loss {losses[-1]:.4f}")
        if epoch + 1 < plan.epochs:
            if checkpoint:
                _save(checkpoint, parts, losses)
            if control.should_stop():
                raise Interrupted(f"{plan.stage} stopped after epoch {epoch + 1} of {plan.epochs}")
    model.eval()
    return losses


def _epoch(
    model: nn.Module, data: Data, plan: Plan, optimizer: Any, schedule: Any, masks: Masks | None
) -> float:
    model.train()
    total = 0.0
    for rows in torch.split(torch.randperm(len(data)), plan.batch):
        if len(rows) == 1 and len(data) > 1:
            continue  # batch normalization has no variance of one sample
        outputs = first_output(model(*(tensor[rows] for tensor in data.inputs)))
        loss = distillation_loss(outputs, data.labels[rows], data.soft_targets[rows], plan)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if masks is not None:
            apply_masks(model, masks)
        total += loss.item() * len(rows)
    return total / len(data)


def _check_finite(loss: float, plan: Plan, epoch: int) -> None:
    if not torch.isfinite(torch.tensor(loss)):
        raise StageError(
            plan.stage,
            f"the loss is {loss} in epoch {epoch} of {plan.epochs} at learning rate {plan.learning_rate:g}: "
            "lower training.learning_rate, or check the inputs' scale",
        )


def _save(checkpoint: Path, parts: dict[str, Any], losses: list[float]) -> None:
    state = {name: part.state_dict() for name, part in parts.items()}
    aside = checkpoint.with_suffix(".part")
    try:
        with aside.open("wb") as file:
            torch.save({**state, "random": torch.get_rng_state(), "losses": losses}, file)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(checkpoint)
    finally:
        aside.unlink(missing_ok=True)  # a full disk must not be made fuller


def _resume(checkpoint: Path, parts: dict[str, Any]) -> list[float]:
    """Put back what `_save` wrote; the losses of the epochs that are done, none if there is no checkpoint."""
    if not checkpoint.is_file():
        return []
    try:
        state = torch.load(checkpoint, weights_only=True)
        losses = [float(loss) for loss in state["losses"]]
    except Exception as error:
        _log.warning("checkpoint %s cannot be read (%s), training starts anew", checkpoint, error)
        return []
    for name, part in parts.items():
        part.load_state_dict(state[name])
    torch.set_rng_state(state["random"])
    return losses
