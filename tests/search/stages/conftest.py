"""A small workload on real data: 600 of scikit-learn's digits, a CNN and an MLP that learn in a second."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.progress import Progress
from paretune.search.stages.models.torch_models import TorchModels
from paretune.search.stages.training.loop import Control
from paretune.search.store.store import Store
from paretune.search.workload.loader import load_workload

STAGES = ("teacher", "distill", "prune", "qat")
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


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Networks of this size are slower on several."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the teacher of the workload above and its soft targets, trained once per session."""
    root = tmp_path_factory.mktemp("taught")
    (root / "tiny_digits.py").write_text(SOURCE)
    loaded = load_workload("tiny_digits.py", root)
    TorchModels(loaded, Store(root / "store"), Progress(), threads=1).teacher.soft_targets()
    return root / "store"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """The workload's file, which a test may change before it loads it."""
    path = tmp_path / "job" / "tiny_digits.py"
    path.parent.mkdir()
    path.write_text(SOURCE)
    return path


@pytest.fixture
def empty_store(tmp_path: Path) -> Path:
    """The place of the test's store, where not even the teacher is."""
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


@pytest.fixture
def store(tmp_path: Path, taught: Path) -> Callable[[], Store]:
    """Open the test's store; what is not there begins with the teacher."""

    def store() -> Store:
        if not (tmp_path / "store").exists():
            shutil.copytree(taught, tmp_path / "store")
        return Store(tmp_path / "store")

    return store


@pytest.fixture
def open_models(source: Path, store):
    """Open the models as a new process would: workload and store are read again. `workload` is changed."""

    def open_models(control=None, fallback=None, tools=None, **workload) -> TorchModels:
        loaded = load_workload(source.name, source.parent)
        loaded = replace(loaded, workload=replace(loaded.workload, **workload))
        models = TorchModels(loaded, store(), Progress(), 1, control, fallback)
        models.networks.tools = tools or models.networks.tools
        return models

    return open_models


@dataclass(frozen=True)
class Elsewhere:
    """A process that trains, and the file of what it says."""

    process: BaseProcess
    said: Path

    def ended(self) -> tuple[list[str], int | None]:
        """Its lines and its exit code."""
        self.process.join()
        return self.said.read_text().splitlines(), self.process.exitcode


def train(source: Path, root: Path, candidate: Candidate, said: Path, killed_at: str) -> None:
    def progress(line: str) -> None:
        with said.open("a") as file:
            file.write(f"{line}\n")
        if line.startswith(killed_at):
            os.kill(os.getpid(), signal.SIGKILL)

    loaded = load_workload(source.name, source.parent)
    models = TorchModels(loaded, Store(root), Progress(), 1, Control(progress=progress))
    models.trainer.trained(candidate)


@pytest.fixture
def trained_elsewhere(source: Path, store, tmp_path):
    """A process that trains a candidate until it says a line that begins with `killed_at`; then it dies. A
    fork: what a new interpreter would take seconds to load is loaded."""

    def trained_elsewhere(candidate: Candidate, killed_at: str = "never") -> Elsewhere:
        said = tmp_path / f"said-{len(list(tmp_path.glob('said-*')))}"
        said.touch()
        arguments = (source, store().root, candidate, said, killed_at)
        process = multiprocessing.get_context("fork").Process(target=train, args=arguments, daemon=True)
        process.start()
        return Elsewhere(process, said)

    return trained_elsewhere


@pytest.fixture
def killed(trained_elsewhere):
    """Train a candidate in a process that is killed at a line."""

    def killed(candidate: Candidate, at: str) -> None:
        assert trained_elsewhere(candidate, at).ended()[1] == -signal.SIGKILL

    return killed


@pytest.fixture
def made():
    """How many entries the store has of what is trained, by stage."""

    def made(models: TorchModels) -> dict[str, int]:
        found = {stage: len(list(models.store.root.glob(f"{stage}/*"))) for stage in STAGES}
        return {stage: count for stage, count in found.items() if count}

    return made


@pytest.fixture
def candidate():
    """A candidate of the workload above; its recipe takes less than a second."""

    def candidate(width: int | None = 16, sparsity: str = "dense", **recipe) -> Candidate:
        return Candidate(
            backend="toy",
            precision=Precision.FP32,
            student=(("width", width),) if width else (),
            sparsity=sparsity,
            recipe=Recipe(**{"epochs": 4, "finetune_epochs": 2, "learning_rate": 5e-3, **recipe}),
        )

    return candidate
