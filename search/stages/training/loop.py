"""The training loop: distillation, with checkpoints from which a killed run goes on to the same bits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ....profiles.errors import InternalError, StageError
from ....profiles.guard.user_code import user_code
from ...record.protocols import Milestone, MilestoneJudge
from ...record.stops import Interrupted, TrainingStopped
from ..network.predict import named_outputs
from ..network.reproducible import reproducible
from .checkpoint import History, load_checkpoint, save_checkpoint
from .control import Control as Control  # a word of this module too
from .early_stopping import BestWeights
from .losses import Loss, meant, others_loss, training_loss
from .masks import GradualMasks, Masks, apply_masks

FEWEST_EPOCHS = 4  # shorter trainings have no milestones: there is too little to save


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """How to train. `distill_weight` is the share of the loss that compares with the teacher's outputs.
    `patience`: training ends after so many epochs without a better quality on validation, and the best
    weights stay (0: it runs to the end)."""

    stage: str
    epochs: int
    learning_rate: float
    batch: int
    temperature: float
    distill_weight: float
    seed: int
    patience: int = 0


@dataclass(frozen=True, kw_only=True)
class Data:
    """Training samples as tensors (axis 0 = samples) and the teacher's primary outputs for them (None: it is
    not asked). `others` has its further outputs by name; `primary` is the name of the one that labels belong
    to ("": the first), `wanted` as of `named_outputs`."""

    inputs: list[Tensor]
    labels: Tensor
    soft_targets: Tensor | None
    loss: Loss
    others: Mapping[str, Tensor] = field(default_factory=dict)
    primary: str = ""
    wanted: str | Sequence[str] | None = None

    def __len__(self) -> int:
        return len(self.labels)


def milestones(epochs: int) -> tuple[int, ...]:
    """After which epochs a training of so many may be paused: about a quarter, a half, three quarters."""
    if epochs < FEWEST_EPOCHS:
        return ()
    return tuple((epochs * quarter + 2) // 4 for quarter in (1, 2, 3))


def first_look(epochs: int) -> int:
    """After how many epochs it is plain whether a training moves: a third; 0 where it is too short."""
    return 0 if epochs < FEWEST_EPOCHS else -(-epochs // 3)


def never_stops(milestone: Milestone) -> None:
    """The judge that lets every training go on."""


@dataclass(frozen=True, kw_only=True)
class Watch:
    """How a training is followed: `quality` of the model on validation is taken at milestones and at the end
    (after every epoch where the plan has a patience), and `judge` is asked at each one. `key` and `kind`
    say which training it is, see `protocols.Milestone`."""

    key: str
    kind: str
    quality: Callable[[nn.Module], float]
    judge: MilestoneJudge = never_stops
    higher_is_better: bool = True


def train(
    model: nn.Module,
    data: Data,
    plan: TrainingPlan,
    checkpoint: Path | None,
    control: Control,
    masks: Masks | GradualMasks | None = None,
    watch: Watch | None = None,
    until: int = 0,
) -> History:
    """Train in place by AdamW with a cosine schedule; returns losses and learning curve.

    After each epoch everything is written to `checkpoint` (None: nowhere); if it is there already, training
    goes on from it, to the same bits that it would have reached at once. Run it inside `reproducible`.
    Watching a training changes none of its bits. A judge is asked wherever training stands at a milestone
    before another epoch is run, so also about one that an earlier call stopped at.

    With `until` it pauses after so many epochs, with a checkpoint, where it has not ended before; the judge
    is asked about that epoch when it goes on.

    With a patience the model ends with the weights of its best epoch, and the last point of the curve is
    their quality; while gradual masks still grow, no epoch counts.

    Raises:
        Interrupted: `control.should_stop()`, or within an epoch `control.out_of_time()`; the checkpoint of
            the last whole epoch is there.
        TrainingStopped: the judge gave it up; the checkpoint is written.
        StageError: the loss is not finite.
        UserError: the loss has no meaning for these labels and outputs.
    """
    return _Loop(model, data, plan, masks, watch).run(checkpoint, control, until or plan.epochs)


class _Loop:
    """A training at work: all that its next epoch depends on."""

    def __init__(
        self,
        model: nn.Module,
        data: Data,
        plan: TrainingPlan,
        masks: Masks | GradualMasks | None,
        watch: Watch | None,
    ) -> None:
        if plan.patience and watch is None:
            raise InternalError(f"{plan.stage} has a patience, but nothing measures its quality")
        self.model, self.data, self.plan, self.masks, self.watch = model, data, plan, masks, watch
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=plan.learning_rate, weight_decay=1e-4)
        steps = max(1, steps_of(plan, len(data)))
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=steps)
        best = watch.higher_is_better if watch else True
        self.best = BestWeights(patience=plan.patience, higher_is_better=best) if plan.patience else None
        self.pace: float | None = None  # of the quickest epoch, in seconds
        self._untold: StageError | None = None  # why there was no quality, where it was last asked for
        self.parts: dict[str, Any] = {"model": model, "optimizer": self.optimizer, "schedule": self.schedule}
        if self.best:
            self.parts["best"] = self.best
        if isinstance(masks, GradualMasks):
            self.parts["masks"] = masks

    def run(self, checkpoint: Path | None, control: Control, until: int) -> History:
        started, plan, ends = control.clock(), self.plan, until == self.plan.epochs
        history = (load_checkpoint(checkpoint, self.parts) if checkpoint else None) or History()
        if history.epochs < until:
            self._ask(history, control.clock() - started)
        while history.epochs < until:
            epoch_began = control.clock()
            history.losses.append(self._epoch(history.epochs + 1, control))
            took = control.clock() - epoch_began
            self.pace = took if self.pace is None else min(self.pace, took)
            _check_finite(history.losses[-1], plan, history.epochs)
            at = f"epoch {history.epochs} of {plan.epochs}"
            control.progress(f"{plan.stage}: {at}, loss {history.losses[-1]:.4f}")
            with control.step():
                ends = self._ended(history)
            if ends:
                break
            if checkpoint:
                save_checkpoint(checkpoint, self.parts, history, control.clock() - started)
                control.saved()
            if history.epochs < until:
                self._ask(history, control.clock() - started)
            if control.should_stop():
                raise Interrupted(f"{plan.stage} stopped after {at}")
        if ends:
            with control.step():
                self._end(history)
        return history

    def _epoch(self, number: int, control: Control) -> float:
        """Mean loss of an epoch."""
        model, data, plan = self.model, self.data, self.plan
        model.train()
        total = 0.0
        for rows in torch.split(torch.randperm(len(data)), plan.batch):
            if len(rows) == 1 and len(data) > 1:
                continue  # batch normalization has no variance of one sample
            if control.out_of_time():
                raise Interrupted(f"{plan.stage} stopped within epoch {number} of {plan.epochs}")
            with control.step():
                total += self._step(rows) * len(rows)
                self.schedule.step()
                if isinstance(self.masks, GradualMasks):
                    self.masks.after_step(model, self.schedule.last_epoch)
                elif self.masks is not None:
                    apply_masks(model, self.masks)
        return total / len(data)

    def _step(self, rows: Tensor) -> float:
        """The loss of these samples, once the optimizer has gone a step along its gradient."""
        stage, inputs = self.plan.stage, [tensor[rows] for tensor in self.data.inputs]
        given = {f"input {number}": tensor for number, tensor in enumerate(inputs, 1)}
        with user_code(
            f"a step of training ({stage})", given=given, function=self.model, stage=stage, brief=True
        ):
            loss = self._loss_of(rows, inputs)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            return loss.item()

    def _loss_of(self, rows: Tensor, inputs: Sequence[Tensor]) -> Tensor:
        data, plan = self.data, self.plan
        named = named_outputs(self.model(*inputs), data.wanted)
        outputs = meant(named, data.primary, self.model)
        soft = None if data.soft_targets is None else data.soft_targets[rows]
        others = {name: tensor[rows] for name, tensor in data.others.items()}
        given: Any = (outputs, soft)
        if callable(data.loss) and len(named) > 1:  # of the user's own: it gets all by name
            given = (named, {data.primary: soft, **others})
        how = {"temperature": plan.temperature, "distill_weight": plan.distill_weight}
        loss = training_loss(data.loss, given[0], data.labels[rows], given[1], **how)
        if not others or callable(data.loss):
            return loss
        return loss + others_loss(data.loss, outputs, named, others, plan.temperature)

    def _ended(self, history: History) -> bool:
        """Whether that was the last epoch; takes the quality where it is wanted."""
        last, measured = history.epochs == self.plan.epochs, None
        if last and isinstance(self.masks, GradualMasks):
            self.masks.finish(self.model)
        if self.best and not (isinstance(self.masks, GradualMasks) and not self.masks.complete):
            measured = self._quality_so_far()
            self.best.see(history.epochs, measured, self.model)
            last = last or self.best.over(history.epochs)
        if not last and self.watch and history.epochs in milestones(self.plan.epochs):
            quality = self._quality_so_far() if measured is None else measured
            if not math.isnan(quality):
                history.curve.append((history.epochs, quality))
        return last

    def _end(self, history: History) -> None:
        history.ended = True
        if not history.epochs and isinstance(self.masks, GradualMasks):
            self.masks.finish(self.model)
        self.model.eval()
        if self.best and self.best.epoch:
            self.model.load_state_dict(self.best.weights)
            history.best_epoch = self.best.epoch
            if self._untold is not None and math.isnan(self.best.quality):
                raise self._untold
            history.curve.append((history.epochs, self.best.quality))
        elif self.watch:
            history.curve.append((history.epochs, self._quality()))

    def _quality(self) -> float:
        assert self.watch is not None
        with reproducible(self.plan.seed):  # a metric or a model may draw numbers: training must not notice
            return self.watch.quality(self.model)

    def _quality_so_far(self) -> float:
        """That of a training on its way; NaN where it has none yet, as a correlation of constant outputs."""
        try:
            return self._quality()
        except StageError as error:
            self._untold = error
            return math.nan

    def _ask(self, history: History, spent: float) -> None:
        """At a milestone, after so many seconds were spent since the training was taken up."""
        watch, plan, curve = self.watch, self.plan, tuple(history.curve)
        if watch is None or not history.at_milestone:
            return
        milestone = Milestone(key=watch.key, kind=watch.kind, epochs=plan.epochs, curve=curve, pace=self.pace)
        with reproducible(plan.seed):
            decision = watch.judge(milestone)
        if decision is None:
            return
        if decision.bound is None and not decision.pause:
            raise InternalError(f"{plan.stage} was stopped without a bound on its quality: {decision.reason}")
        raise TrainingStopped(milestone, decision, spent)


def steps_of(plan: TrainingPlan, samples: int) -> int:
    """Steps of the optimizer in the whole training."""
    return plan.epochs * -(-samples // plan.batch)


def _check_finite(loss: float, plan: TrainingPlan, epoch: int) -> None:
    if not torch.isfinite(torch.tensor(loss)):
        raise StageError(
            plan.stage,
            f"the loss is {loss} in epoch {epoch} of {plan.epochs} at learning rate {plan.learning_rate:g}: "
            "lower training.learning_rate, or check the inputs' scale",
        )
