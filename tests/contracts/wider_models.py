"""Models of a wider field, with few weights each: several inputs and outputs, channels of very unequal scale,
a transposed convolution, recurrence, and a branch."""

from __future__ import annotations

import torch
from torch import nn


class TwoInputs(nn.Module):
    """An image and tokens: two ranks, two types."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.embedding = nn.Embedding(30, 16)
        self.head = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10))

    def forward(self, image, tokens):
        seen = torch.relu(self.conv(image)).mean((2, 3))
        return self.head(torch.cat([seen, self.embedding(tokens).mean(1)], 1))


class TwoOutputs(nn.Module):
    """Scores, and beside them an output whose numbers are three thousand times smaller."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 24, 3, padding=1), nn.ReLU(), nn.Conv2d(24, 24, 1), nn.ReLU())
        self.scores = nn.Linear(24, 10)
        self.offset = nn.Linear(24, 4)
        with torch.no_grad():
            self.scores.weight.mul_(30)
            self.offset.weight.mul_(0.01)
            self.offset.bias.mul_(0.01)

    def forward(self, image):
        x = self.body(image).mean((2, 3))
        return {"scores": self.scores(x), "offset": self.offset(x)}


class Depthwise(nn.Module):
    """A depthwise convolution whose norm, once folded into it, leaves channels with scales 1e4 apart. What
    comes after it makes up for them, so that each channel counts."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(24, 24, 3, stride=2, padding=1, groups=24, bias=False)
        self.norm = nn.BatchNorm2d(24)
        self.pointwise = nn.Conv2d(24, 24, 1)
        self.head = nn.Linear(24 * 9, 10)
        scale = torch.logspace(-2, 2, 24)[torch.randperm(24)]
        with torch.no_grad():
            self.norm.weight.copy_(scale)
            self.norm.bias.copy_(0.1 * torch.randn(24) * scale)
            self.pointwise.weight.div_(scale.reshape(1, 24, 1, 1))

    def forward(self, image):
        x = torch.relu(self.norm(self.depthwise(torch.relu(self.stem(image)))))
        return self.head(torch.relu(self.pointwise(x)).flatten(1))


class Transposed(nn.Module):
    """A decoder: a vector becomes a picture."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(16, 16 * 9)
        self.up = nn.ConvTranspose2d(16, 12, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(12)
        self.last = nn.ConvTranspose2d(12, 2, 2, stride=2)

    def forward(self, code):
        x = torch.relu(self.first(code)).reshape(-1, 16, 3, 3)
        return self.last(torch.relu(self.norm(self.up(x))))


class Recurrent(nn.Module):
    """Both kinds of gates, one of them in both directions."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(12, 16, batch_first=True)
        self.gru = nn.GRU(16, 8, batch_first=True, bidirectional=True)
        self.head = nn.Linear(16, 10)

    def forward(self, sequence):
        return self.head(self.gru(self.lstm(sequence)[0])[0].mean(1))


class Branching(nn.Module):
    """One of two layers, by what the samples of a batch are like."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(16, 32)
        self.calm, self.wild = nn.Linear(32, 32), nn.Linear(32, 32)
        self.head = nn.Linear(32, 10)

    def forward(self, features):
        x = torch.relu(self.first(features))
        wild = features.abs().mean() > 0.8
        return self.head(torch.cond(wild, self._wild, self._calm, (x,)))

    def _wild(self, x):
        return torch.relu(self.wild(x))

    def _calm(self, x):
        return torch.tanh(self.calm(x))


def images(count, channels=3, size=12):
    """Each image has its own level: noise alone would give every sample the same pooled features."""
    return 2 * torch.rand(count, channels, 1, 1) - 1 + 0.5 * torch.randn(count, channels, size, size)


def inputs(name, count):
    """Samples for the models of this module."""
    if name == "two-inputs":
        return {"image": images(count), "tokens": torch.randint(0, 30, (count, 6))}
    if name == "transposed":
        return {"code": torch.randn(count, 16)}
    if name == "recurrent":
        return {"sequence": torch.randn(count, 4, 12)}
    if name == "branch":
        return {"features": torch.randn(count, 16)}
    return {"image": images(count)}


MODELS = {
    "two-inputs": TwoInputs,
    "two-outputs": TwoOutputs,
    "depthwise": Depthwise,
    "transposed": Transposed,
    "recurrent": Recurrent,
    "branch": Branching,
}
