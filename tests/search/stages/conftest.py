"""A small workload on real data: 600 of scikit-learn's digits, a CNN and an MLP that learn in a second."""

from __future__ import annotations

from pathlib import Path

import pytest
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.stages.models.students import ModelStages
from paretune.search.store.store import Store
from paretune.search.workload.loader import load_workload

SOURCE = '''
import numpy as np
import torch
from paretune import Split, Splits, Workload
from torch import nn


def splits():
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)[:, None]
    order = np.random.default_rng(0).permutation(len(images))
    parts, start = {}, 0
    for name, count in (("train", 600), ("calibration", 150), ("validation", 150), ("test", 150)):
        rows = order[start : start + count]
        parts[name] = Split(inputs={"image": images[rows]}, labels=digits.target[rows].astype(np.int64))
        start += count
    return Splits(**parts)


class Net(nn.Module):
    """Two convolutions with a residual addition, and a classifier."""

    def __init__(self, width):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.body = nn.Conv2d(width, width, 3, padding=1)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(width * 16, 10)

    def forward(self, image):
        hidden = torch.relu(self.norm(self.stem(image)))
        hidden = torch.relu(self.body(hidden) + hidden)
        return self.head(self.drop(hidden).flatten(1))


def teacher():
    return Net(32)


def train_teacher(model, splits):
    images, labels = torch.from_numpy(splits.train.inputs["image"]), torch.from_numpy(splits.train.labels)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    model.train()
    for _ in range(12):
        for rows in torch.randperm(len(labels)).split(100):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[rows]), labels[rows]).backward()
            optimizer.step()


workload = Workload(
    name="tiny", splits=splits, teacher=teacher, train_teacher=train_teacher, student=lambda width: Net(width)
)
'''


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The workload's file, which a test may change before it loads it."""
    path = tmp_path / "job" / "tiny_digits.py"
    path.parent.mkdir()
    path.write_text(SOURCE)
    return path


@pytest.fixture
def open_stages(source: Path, tmp_path: Path):
    """Open the stages as a new process would: workload and store are read again."""

    def open_stages(**options) -> ModelStages:
        loaded = load_workload(source.name, source.parent)
        return ModelStages(loaded=loaded, store=Store(tmp_path / "store"), threads=1, **options)

    return open_stages


@pytest.fixture
def candidate():
    """A candidate of the workload above; its recipe takes less than a second."""

    def candidate(width: int | None = 16, sparsity: str = "dense", **recipe) -> Candidate:
        return Candidate(
            backend="null",
            precision=Precision.FP32,
            student=(("width", width),) if width else (),
            sparsity=sparsity,
            recipe=Recipe(**{"epochs": 4, "finetune_epochs": 2, "learning_rate": 5e-3, **recipe}),
        )

    return candidate
