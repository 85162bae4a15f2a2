"""Handwritten digits: a convolutional teacher of 1.15 million parameters, students by width and depth.

The data is scikit-learn's `load_digits`: 1 797 grey images of 8 x 8 pixels, ten classes. The training split
is enlarged once by small shifts and rotations, so that the teacher's soft targets are computed once too.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from paretune import Split, Splits, Workload
from torch import Tensor, nn
from torch.nn import functional as F

COPIES = 4  # distorted copies of each training image, beside the image itself


def _block(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


class DigitsNet(nn.Module):
    """3 x 3 convolutions in three stages that halve the picture, a mean over pixels, a linear classifier."""

    def __init__(self, channels: tuple[int, int, int], depth: int) -> None:
        super().__init__()
        layers, inputs = [], 1
        for stage, outputs in enumerate(channels):
            for layer in range(depth):
                layers.append(_block(inputs, outputs, stride=2 if stage and not layer else 1))
                inputs = outputs
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(inputs, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Logits [N, 10] of images [N, 1, 8, 8] with values between 0 and 1."""
        return self.classifier(self.features(image).mean(dim=(2, 3)))


def build_teacher() -> nn.Module:
    """The untrained teacher."""
    return DigitsNet((64, 128, 256), depth=2)


def build_student(width: float = 1.0, depth: int = 1) -> nn.Module:
    """An untrained student: `width` scales 32, 64 and 96 channels, `depth` is layers per stage."""
    channels = tuple(max(8, round(width * base / 8) * 8) for base in (32, 64, 96))
    return DigitsNet((channels[0], channels[1], channels[2]), depth)


def train_teacher(model: nn.Module, splits: Splits, epochs: int = 8, batch: int = 64) -> None:
    """Train in place: SGD with momentum, one cycle of the learning rate, label smoothing."""
    torch.manual_seed(0)
    images = torch.from_numpy(splits.train.inputs["image"])
    labels = torch.from_numpy(splits.train.labels)
    steps = epochs * math.ceil(len(labels) / batch)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=steps, pct_start=0.2)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(labels)).split(batch):
            loss = F.cross_entropy(model(images[rows]), labels[rows], label_smoothing=0.1)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def _distorted(images: Tensor, seed: int) -> Tensor:
    """Each image turned by up to 12 degrees and shifted by up to 1 pixel, at random."""
    generator = torch.Generator().manual_seed(seed)
    amount = torch.rand(len(images), 3, generator=generator) * 2 - 1
    angle = amount[:, 0] * math.radians(12)
    shift = amount[:, 1:] * (2 / images.shape[-1])
    rows = [torch.cos(angle), -torch.sin(angle), shift[:, 0], torch.sin(angle), torch.cos(angle), shift[:, 1]]
    grid = F.affine_grid(torch.stack(rows, dim=1).view(-1, 2, 3), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def _split(images: np.ndarray, labels: np.ndarray) -> Split:
    return Split(inputs={"image": images}, labels=labels)


def load_splits() -> Splits:
    """900 images to train (4 500 with copies), 180 to calibrate, 357 to search, 360 for the finalists."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)[:, None]
    labels = digits.target.astype(np.int64)
    parts, rest = {}, np.arange(len(labels))
    for name, count in (("test", 360), ("validation", 357), ("calibration", 180)):
        rest, parts[name] = train_test_split(rest, test_size=count, stratify=labels[rest], random_state=0)
    copies = [_distorted(torch.from_numpy(images[rest]), seed).numpy() for seed in range(COPIES)]
    train = _split(np.concatenate([images[rest], *copies]), np.tile(labels[rest], COPIES + 1))
    return Splits(train=train, **{name: _split(images[rows], labels[rows]) for name, rows in parts.items()})


workload = Workload(
    name="digits",
    splits=load_splits,
    teacher=build_teacher,
    train_teacher=train_teacher,
    student=build_student,
)
