"""What somebody new brings: a workload, a study of it on this machine, its artifacts run outside of our code.

Each workload is a few arrays and a small net, written here in the words of the README.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import yaml
from paretune.profiles.errors import UserError
from paretune.reports.bundle.write import export_bundle
from paretune.search.job.job import load_job
from paretune.search.record.evaluation import Outcome, StudyRecord
from paretune.search.record.progress import Progress
from paretune.search.run.session import run_study

HEAD = """
import numpy as np
import torch
from torch import nn
from paretune import Metric, Split, Splits, Workload

COUNTS = {"train": 256, "calibration": 64, "validation": 128, "test": 128}


def splits():
    return Splits(**{name: split(np.random.default_rng(n), COUNTS[name]) for n, name in enumerate(COUNTS)})


def fit(model, splits, loss, epochs=40, lr=3e-3):
    inputs = [torch.from_numpy(a) for a in splits.train.inputs.values()]
    labels = torch.from_numpy(splits.train.labels)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(epochs):
        for rows in torch.randperm(len(labels)).split(32):
            optimizer.zero_grad()
            loss(model(*(a[rows] for a in inputs)), labels[rows]).backward()
            optimizer.step()

"""
STUDY: dict[str, Any] = {
    "workload": "work.py",
    "profile": "host",
    "space": {
        "student": {"width": [24]},
        "precision": ["fp32"],
        "backend": ["ort"],
        "sparsity": ["dense"],
    },
    "training": {"epochs": 25, "finetune_epochs": 1, "learning_rate": 0.01, "batch": 32},
    "budget": {"trials": 2},
    "ladder": "never",
    "finalists": 2,
    "measure": {"rounds": 9, "finalist_rounds": 9, "processes": 1},
}


class Heard(Progress):
    """What the log of a run says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


@dataclass
class Done:
    """A study that has ended, with what its log said."""

    record: StudyRecord
    folder: Path
    lines: list[str]

    @property
    def students(self):
        found = [t for t in self.record.trials if t.evaluation.candidate.student]
        assert found
        assert all(t.evaluation.outcome is Outcome.COMPLETE for t in found), [t.evaluation for t in found]
        return found

    def quality(self, trial) -> float:
        return trial.evaluation.metrics[self.record.quality].value

    def by_hand(self, trial, split: str = "validation") -> dict[str, np.ndarray]:
        """All outputs of a trial's artifact over a split, by ONNX Runtime alone."""
        bundle = self.folder / f"bundle-{trial.number}"
        if not bundle.exists():
            export_bundle(self.record, trial.number, bundle)
        session = onnxruntime.InferenceSession(str(bundle / "model.onnx"), providers=["CPUExecutionProvider"])
        data = getattr(self.splits, split)
        names = [value.name for value in session.get_outputs()]
        feeds = ({n: a[row : row + 1] for n, a in data.inputs.items()} for row in range(len(data)))
        rows = [session.run(names, feed) for feed in feeds]
        return {name: np.concatenate([row[i] for row in rows]) for i, name in enumerate(names)}

    @property
    def splits(self):
        return load_job(self.folder / "study.yaml").loaded.splits


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory):
    """Writes a workload, runs a study of it."""

    def newcomer(text: str, **study: Any) -> Done:
        folder = tmp_path_factory.mktemp("newcomer")
        (folder / "work.py").write_text(HEAD + text)
        plain = {"name": "new", **STUDY, **study}
        (folder / "study.yaml").write_text(yaml.safe_dump(plain))
        heard = Heard()
        ended = run_study(folder / "study.yaml", heard)
        return Done(ended.record, folder, heard.lines)

    return newcomer


@pytest.fixture
def refused(tmp_path):
    """The error that a workload leads to, before anything is trained."""

    def refused(text: str) -> UserError:
        (tmp_path / "work.py").write_text(HEAD + text)
        (tmp_path / "study.yaml").write_text(yaml.safe_dump({"name": "new", **STUDY}))
        with pytest.raises(UserError) as caught:
            run_study(tmp_path / "study.yaml")
        assert "must not be trained" not in str(caught.value)
        return caught.value

    return refused
