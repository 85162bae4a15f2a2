"""A tiny workload and studies of it on the `toy` backend, which is deterministic and needs no runtime."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest
import yaml
from paretune.cli import main

TESTS = str(Path(__file__).resolve().parents[1])

WORKLOAD = """
import numpy as np
import torch
from torch import nn
from paretune import Split, Splits, Workload


def _split(count, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    centres = np.random.default_rng(0).normal(size=(3, 8)) * 2
    x = (centres[labels] + rng.normal(size=(count, 8))).astype(np.float32)
    return Split(inputs={"x": x}, labels=labels.astype(np.int64))


def splits():
    counts = {"train": 240, "calibration": 60, "validation": 120, "test": 120}
    return Splits(**{name: _split(count, seed) for seed, (name, count) in enumerate(counts.items(), 1)})


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        return self.head(self.body(x))


def teacher():
    torch.manual_seed(0)
    return Net(64)


def train_teacher(model, splits):
    x, y = torch.from_numpy(splits.train.inputs["x"]), torch.from_numpy(splits.train.labels)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


workload = Workload(name="blobs", splits=splits, teacher=teacher, train_teacher=train_teacher,
                    student=lambda width: Net(width))
"""

STUDY = {
    "name": "blobs",
    "workload": "blobs.py",
    "space": {
        "student": {"width": [4, 8, 16]},
        "precision": ["fp32", "int8", "int4-weight"],
        "backend": ["toy"],
        "calibration": {"samples": [16]},
    },
    "training": {"epochs": 3, "finetune_epochs": 1, "learning_rate": 0.01, "batch": 16},
    "budget": {"trials": 8},
    "measure": {"rounds": 9, "finalist_rounds": 9, "processes": 1},
    "finalists": 2,
}


class Bench:
    """A directory with the workload and study files, and ways to run them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "blobs.py").write_text(WORKLOAD)

    def study(self, name: str = "blobs", **changes) -> Path:
        plain = {**STUDY, "name": name, **changes}
        # One training for each student, unless a test says otherwise.
        plain["space"] = {"distill": {"weight": [0.7]}, **plain["space"]}
        path = self.root / f"{name}.yaml"
        path.write_text(yaml.safe_dump(plain))
        return path

    def command(
        self, *arguments: object, preexec: Callable[[], None] | None = None, **env: str
    ) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "paretune.cli", *map(str, arguments)],
            cwd=self.root,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": TESTS, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=preexec,
        )

    def process(self, *arguments: object, **env: str) -> "subprocess.CompletedProcess[str]":
        """A command in a process of its own, to its end."""
        process = self.command(*arguments, **env)
        out, err = process.communicate(timeout=500)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def run(self, *arguments: object, **env: str) -> "subprocess.CompletedProcess[str]":
        """A command in this process."""
        return run_here(self.root, *arguments, **env)


def run_here(folder: Path, *arguments: object, **env: str) -> "subprocess.CompletedProcess[str]":
    """A command in this process, where what a new one takes seconds to load is loaded already."""
    out, err, here = io.StringIO(), io.StringIO(), Path.cwd()
    argv = patch.object(sys, "argv", ["paretune", *map(str, arguments)])
    os.chdir(folder)
    try:
        with patch.dict(os.environ, env), argv, redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as end:
        return subprocess.CompletedProcess(arguments, end.code or 0, out.getvalue(), err.getvalue())
    finally:
        os.chdir(here)
    raise AssertionError("a command ends with an exit code")


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


@pytest.fixture(scope="session")
def bench_in():
    """Makes such a bench in a directory, for what several tests look at."""
    return Bench


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory):
    """One store for tests that do not look at trainings: what one of them made, the others find, also
    beside it in another worker."""
    own = tmp_path_factory.getbasetemp()
    return str((own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared-store")
