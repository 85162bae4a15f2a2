"""Other workloads than pictures with accuracy: tokens, an own metric, numbers in place of classes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from paretune.profiles.errors import UserError

TOKENS = '''
import numpy as np
import torch
from paretune import Metric, Split, Splits, Workload
from torch import nn


def splits():
    """The class is how often token 1 occurs among 8 tokens, up to 2; a padding mask is the second input."""
    rng = np.random.default_rng(0)
    rows = np.unique(rng.integers(0, 4, size=(3000, 8)), axis=0)
    rng.shuffle(rows)
    labels = np.minimum((rows == 1).sum(axis=1), 2)
    bounds = {"train": (0, 1500), "calibration": (1500, 1700), "validation": (1700, 1900)}
    bounds["test"] = (1900, 2100)
    return Splits(**{
        name: Split(
            inputs={"tokens": rows[a:b], "mask": np.ones((b - a, 8), np.float32)},
            labels=TARGETS(labels[a:b]),
        )
        for name, (a, b) in bounds.items()
    })


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.embed = nn.Embedding(4, width)
        self.mix = nn.TransformerEncoderLayer(width, 2, 2 * width, dropout=0.0, batch_first=True)
        self.head = nn.Linear(width, OUTPUTS)

    def forward(self, tokens, mask):
        hidden = self.mix(self.embed(tokens)) * mask[..., None]
        return self.head(hidden.mean(dim=1))


def train_teacher(model, splits):
    inputs = [torch.from_numpy(array) for array in splits.train.inputs.values()]
    labels = torch.from_numpy(splits.train.labels)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    model.train()
    for _ in range(6):
        for rows in torch.randperm(len(labels)).split(50):
            optimizer.zero_grad()
            LOSS(model(*(tensor[rows] for tensor in inputs)), labels[rows]).backward()
            optimizer.step()


workload = Workload(
    name="tokens", splits=splits, teacher=lambda: Net(32), train_teacher=train_teacher,
    student=lambda width: Net(width), metric=Metric(name=NAME, function=SCORE, higher_is_better=False),
)
'''
KINDS = {
    "classes": {
        "TARGETS": "(lambda labels: labels)",
        "OUTPUTS": "3",
        "LOSS": "nn.functional.cross_entropy",
        "NAME": "'error_rate'",
        "SCORE": "lambda outputs, labels: float((outputs.argmax(1) != labels).mean())",
    },
    "numbers": {
        "TARGETS": "(lambda labels: labels[:, None].astype(np.float32))",
        "OUTPUTS": "1",
        "LOSS": "nn.functional.mse_loss",
        "NAME": "'mean_error'",
        "SCORE": "lambda outputs, labels: float(np.abs(outputs - labels).mean())",
    },
}


@pytest.fixture
def write_kind(source):
    def write_kind(kind: str, **changes: str) -> None:
        text = TOKENS
        for name, value in {**KINDS[kind], **changes}.items():
            text = text.replace(name, value)
        source.write_text(text)

    return write_kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_transformer_on_tokens_with_an_own_metric(write_kind, open_models, candidate, kind):
    write_kind(kind)
    models, dense = open_models(), candidate(width=16)
    models.prepare_students([dense.student], dense.recipe)
    assert models.teacher.entry().meta["quality"]["validation"] < 0.2
    for sparsity in ("dense", "channel:0.5", "2:4"):
        wanted = replace(dense, sparsity=sparsity)
        entry = models.trainer.trained(wanted)
        model = models.trainer.load(entry, wanted)
        quality = models.networks.quality(model, models.loaded.splits.validation)
        assert quality == entry.meta["quality"]["validation"], sparsity
        assert entry.meta["losses"][-1] < entry.meta["losses"][0], sparsity


def test_labels_that_no_loss_is_known_for_are_refused(write_kind, open_models, candidate):
    write_kind("numbers", OUTPUTS="2", SCORE="lambda o, y: float(np.abs(o[:, :1] - y).mean())")
    wanted = candidate(width=16)
    with pytest.raises(UserError, match=r"(?s)cannot be trained on these labels.*float32\[1500, 1\]"):
        open_models().prepare_students([wanted.student], wanted.recipe)
