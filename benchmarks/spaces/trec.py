"""TREC questions: students that mix the words of a question in three ways, one of them not at all.

The data and how words become tokens are those of examples/trec.py. A student has 1 to 3 layers; `mixer` says
how tokens see each other in them: `attention`, `convolution` over three neighbours, or `none` (a layer then
looks at each word alone, and the mean over words is all that joins them). Size does not tell which of these
is best: the embedding, whose size has nothing to do with the mixer, is most of a model.
"""

from __future__ import annotations

import math
from functools import partial

import torch
from paretune import Split, Splits, Workload
from torch import Tensor, nn

from benchmarks.spaces.data import data_path
from examples.trec import CLASSES, ENDINGS, LENGTH, WORDS, Attention, Neighbours, train_teacher
from examples.trec import load_splits as all_splits

HEAD = 16  # numbers of an attention head


class MixingLayer(nn.Module):
    """Tokens see each other (or not), then a feed-forward net of twice the width, each added to its input."""

    def __init__(self, width: int, mixer: str, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, max(1, width // HEAD)) if mixer == "attention" else None
        self.neighbours = Neighbours(width) if mixer == "convolution" else None
        self.feed = nn.Sequential(
            nn.Linear(width, 2 * width), nn.ReLU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        """[N, L, width] to the same; `known` [N, L] is 0 for padding."""
        if self.attention is not None:
            ignore = (known[:, None, None, :] - 1) * 1e4
            x = x + self.attention(self.norm1(x), ignore)
        if self.neighbours is not None:
            x = self.neighbours(self.norm1(x) * known[:, :, None])
        return x + self.feed(self.norm2(x))


class MixingNet(nn.Module):
    """Embeddings, layers, a mean over the words, a classifier."""

    def __init__(self, layers: int, width: int, embedding: int, mixer: str, dropout: float) -> None:
        super().__init__()
        self.tokens = nn.Embedding(1 + ENDINGS + WORDS, embedding, padding_idx=0)
        self.widen = nn.Linear(embedding, width)
        self.positions = nn.Parameter(torch.randn(LENGTH, width) * 0.02)
        self.drop = nn.Dropout(dropout)
        self.layers = nn.ModuleList(MixingLayer(width, mixer, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits [N, 6] of token numbers [N, L], L at most 24, 0 where a question has ended."""
        known = (tokens != 0).float()
        x = self.drop(self.widen(self.tokens(tokens)) + self.positions[: tokens.shape[1]])
        for layer in self.layers:
            x = layer(x, known)
        summed = (known[:, None, :] @ self.norm(x))[:, 0]
        return self.classifier(self.drop(summed / known.sum(dim=1, keepdim=True)))


def build_teacher() -> nn.Module:
    """The untrained teacher: attention in 3 layers of width 128, after one look at neighbouring words."""
    net = MixingNet(layers=3, width=128, embedding=128, mixer="attention", dropout=0.3)
    net.layers.insert(0, MixingLayer(128, "convolution", 0.3))
    return net


def build_student(
    layers: int = 1, width: int = 48, embedding: int = 32, mixer: str = "attention"
) -> nn.Module:
    """An untrained student."""
    return MixingNet(layers, width, embedding, mixer, dropout=0.1)


def load_splits(data: str) -> Splits:
    """Those of the example, without distorted copies: what remains to learn from is half as dear."""
    splits = all_splits(data_path(data, "trec"))
    originals = math.ceil(len(splits.train) / 3)
    train = Split(
        inputs={"tokens": splits.train.inputs["tokens"][:originals]}, labels=splits.train.labels[:originals]
    )
    return Splits(train=train, calibration=splits.calibration, validation=splits.validation, test=splits.test)


def workload(data: str = "") -> Workload:
    """The workload; `data` is the folder of the questions."""
    return Workload(
        name="trec-mixers",
        splits=partial(load_splits, data),
        teacher=build_teacher,
        train_teacher=partial(train_teacher, epochs=10),
        student=build_student,
    )
