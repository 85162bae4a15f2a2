"""The training loop: distillation, with checkpoints from which a killed run goes on to the same bits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...profiles.errors import InternalError, StageError, UserError
from ..budget import Interrupted
from ..contract import Rung, RungJudge, TrainingStopped
from .checkpoint import History, load_checkpoint, save_checkpoint
from .predict import first_output
from .reproducible import reproducible
from .sparsity import Masks, apply_masks

FEWEST_EPOCHS = 4  # shorter trainings have no rungs: there is too little to save


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


def rungs(epochs: int) -> tuple[int, ...]:
    """After which epochs a training of so many may be given up: about a quarter, a half, three quarters."""
    if epochs < FEWEST_EPOCHS:
        return ()
    return tuple((epochs * quarter + 2) // 4 for quarter in (1, 2, 3))


def never_stops(rung: Rung) -> None:
    """The judge that lets every training go on."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """How a training is followed: `quality` of the model on validation is taken at its rungs and at its end,
    and `judge` is asked at each rung. `key` and `kind` say which training it is, see `contract.Rung`."""

    key: str
    kind: str
    quality: Callable[[nn.Module], float]
    judge: RungJudge = never_stops


def train(
    model: nn.Module,
    data: Data,
    plan: Plan,
    checkpoint: Path | None,
    control: Control,
    masks: Masks | None = None,
    watch: Watch | None = None,
) -> History:
    """Train in place by Adam with a cosine schedule; returns losses and learning curve.

    After each epoch everything is written to `checkpoint` (None: nowhere); if it is there already, training
    goes on from it, to the same bits that it would have reached at once. Run it inside `reproducible`.
    Watching a training changes none of its bits. A judge is asked about every rung that training stands at
    before another epoch is run, so also about one that an earlier call stopped at.

    Raises:
        Interrupted: `control.should_stop()`; the checkpoint is written.
        TrainingStopped: the judge gave it up; the checkpoint is written.
        StageError: the loss is not finite.
    """
    started = time.monotonic()
    optimizer = torch.optim.AdamW(model.parameters(), lr=plan.learning_rate, weight_decay=1e-4)
    steps = plan.epochs * -(-len(data) // plan.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=max(1, steps))
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule}
    history = (load_checkpoint(checkpoint, parts) if checkpoint else None) or History()
    _ask(watch, plan, history, started)
    while history.epochs < plan.epochs:
        history.losses.append(_epoch(model, data, plan, optimizer, schedule, masks))
        _check_finite(history.losses[-1], plan, history.epochs)
        at = f"epoch {history.epochs} of {plan.epochs}"
        control.progress(f"{plan.stage}: {at}, loss {history.losses[-1]:.4f}")
        if history.epochs == plan.epochs:
            break
        if history.epochs in rungs(plan.epochs):
            _measure(watch, model, plan, history)
        if checkpoint:
            save_checkpoint(checkpoint, parts, history, time.monotonic() - started)
        _ask(watch, plan, history, started)
        if control.should_stop():
            raise Interrupted(f"{plan.stage} stopped after {at}")
    model.eval()
    _measure(watch, model, plan, history)
    return history


def _measure(watch: Watch | None, model: nn.Module, plan: Plan, history: History) -> None:
    if watch is not None:
        with reproducible(plan.seed):  # a metric or a model may draw numbers: training must not notice
            history.curve.append((history.epochs, watch.quality(model)))


def _ask(watch: Watch | None, plan: Plan, history: History, started: float) -> None:
    if watch is None or not history.at_rung:
        return
    rung = Rung(key=watch.key, kind=watch.kind, epochs=plan.epochs, curve=tuple(history.curve))
    with reproducible(plan.seed):
        decision = watch.judge(rung)
    if decision is None:
        return
    if decision.bound is None:
        raise InternalError(f"{plan.stage} was stopped without a bound on its quality: {decision.reason}")
    raise TrainingStopped(rung, decision.bound, decision.reason, time.monotonic() - started)


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
