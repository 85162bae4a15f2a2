"""What the peers share: the digits workload's models, and training them as the study file's recipe says.

Written as a user would without Paretune; of `paretune` it needs only what examples/digits.py itself imports.
"""

from __future__ import annotations

import argparse
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_model
from torch import Tensor, nn
from torch.nn import functional as F

EPOCHS, FINETUNE_EPOCHS = 8, 4
LEARNING_RATE, FINETUNE_SHARE = 0.004, 0.5
BATCH, TEMPERATURE, WEIGHT = 64, 4.0, 0.7
WIDTHS, DEPTHS = (0.25, 0.5, 1.0), (1, 2)


@dataclass(frozen=True, kw_only=True)
class Job:
    """The workload's module, its splits, the trained teacher and its outputs over the training split."""

    digits: Any
    splits: Any
    teacher: nn.Module
    images: Tensor
    labels: Tensor
    soft: Tensor

    @property
    def calibration(self) -> np.ndarray:
        return self.splits.calibration.inputs["image"][:128]


def load_job(workload: Path, teacher_weights: Path) -> Job:
    """Read the workload's file, the teacher's weights, and compute the soft targets once."""
    torch.set_num_threads(1)
    spec = importlib.util.spec_from_file_location("digits", workload)
    digits = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(digits)
    splits = digits.load_splits()
    teacher = digits.build_teacher()
    load_model(teacher, teacher_weights)
    teacher.eval()
    images = torch.from_numpy(splits.train.inputs["image"])
    with torch.no_grad():
        soft = torch.cat([teacher(part) for part in images.split(256)])
    labels = torch.from_numpy(splits.train.labels)
    return Job(digits=digits, splits=splits, teacher=teacher, images=images, labels=labels, soft=soft)


def options_of(text: str | None, *flags: str) -> argparse.Namespace:
    """What a peer's script is called with."""
    parser = argparse.ArgumentParser(description=(text or "").partition("\n")[0])
    for name in ("--workload", "--teacher", "--into"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--seed", type=int, default=0)
    for flag in flags:
        parser.add_argument(flag, action="store_true")
    return parser.parse_args()


def distill(model: nn.Module, job: Job, epochs: int, learning_rate: float) -> None:
    """Train in place on labels and soft targets: AdamW, one cosine."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=1e-4)
    steps = epochs * -(-len(job.labels) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(job.labels)).split(BATCH):
            outputs = model(job.images[rows])
            student = F.log_softmax(outputs / TEMPERATURE, dim=1)
            teacher = F.log_softmax(job.soft[rows] / TEMPERATURE, dim=1)
            soft = F.kl_div(student, teacher, reduction="batchmean", log_target=True) * TEMPERATURE**2
            loss = WEIGHT * soft + (1 - WEIGHT) * F.cross_entropy(outputs, job.labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()


def prune_half(model: nn.Module, job: Job) -> None:
    """Remove half of the channels of every layer but the last, by Torch-Pruning."""
    import torch_pruning

    for parameter in model.parameters():
        parameter.requires_grad_(True)
    pruner = torch_pruning.pruner.BasePruner(
        model,
        job.images[:2],
        importance=torch_pruning.importance.GroupMagnitudeImportance(),
        pruning_ratio=0.5,
        round_to=4,
        ignored_layers=[model.classifier],
    )
    pruner.step()


def make_model(job: Job, width: float | None, depth: int | None, *, pruned: bool, seed: int) -> nn.Module:
    """A trained student, or the teacher for a width of None; pruned and fine-tuned where asked."""
    torch.manual_seed(seed)
    if width is None:
        model = job.digits.build_teacher()
        model.load_state_dict(job.teacher.state_dict())
        model.eval()
    else:
        model = job.digits.build_student(width=width, depth=depth)
        distill(model, job, EPOCHS, LEARNING_RATE)
    if pruned:
        prune_half(model, job)
        distill(model, job, FINETUNE_EPOCHS, LEARNING_RATE * FINETUNE_SHARE)
    return model


def to_onnx(model: nn.Module, path: Path) -> None:
    """Export for batch 1, with the weights inside the file."""
    example = (torch.zeros(1, 1, 8, 8),)
    names = {"input_names": ["image"], "output_names": ["output"]}
    torch.onnx.export(model, example, str(path), dynamo=False, verbose=False, **names)
