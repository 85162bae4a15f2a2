"""Six small models of the kinds that are deployed, each trained for seconds on made-up data of ten classes.

Their weights have learnt something, so that "the same decision" means something: some samples lie near the
border between two classes, as they do in real tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

CLASSES = 10
CALIBRATION, TEST = 128, 500
_TRAINING, _STEPS, _BATCH = 2048, 64, 64
_WORDS, _LENGTH = 2000, 32
_MELS, _FRAMES = 40, 32
Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A trained model, samples for calibration and for agreement (disjoint), and what PyTorch gives for the
    latter."""

    module: nn.Module
    calibration: Arrays
    samples: Arrays
    wanted: NDArray[np.float32]
    accuracy: float

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.module.parameters())


def _conv(wide: int, out: int, stride: int = 1, groups: int = 1, size: int = 3) -> nn.Sequential:
    conv = nn.Conv2d(wide, out, size, stride, size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.ReLU())


class Plain(nn.Module):
    """Convolutions alone, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        shapes = [(3, 24, 1), (24, 24, 1), (24, 48, 2), (48, 48, 1), (48, 64, 2), (64, 64, 1)]
        self.body = nn.Sequential(*(_conv(wide, out, stride) for wide, out, stride in shapes))
        self.head = nn.Linear(64, CLASSES)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(image).mean((2, 3)))


class Block(nn.Module):
    def __init__(self, wide: int, out: int, stride: int) -> None:
        super().__init__()
        self.first = _conv(wide, out, stride)
        self.second = nn.Sequential(nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out))
        shorter = nn.Sequential(nn.Conv2d(wide, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        self.past = nn.Identity() if wide == out else shorter

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return functional.relu(self.past(image) + self.second(self.first(image)))


class Residual(nn.Module):
    """A ResNet of 14 layers, as for CIFAR."""

    def __init__(self) -> None:
        super().__init__()
        shapes = [(16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)]
        self.body = nn.Sequential(_conv(3, 16), *(Block(*shape) for shape in shapes))
        self.head = nn.Linear(64, CLASSES)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(image).mean((2, 3)))


class Depthwise(nn.Module):
    """A MobileNet of 9 depthwise and pointwise convolutions in turn."""

    def __init__(self) -> None:
        super().__init__()
        widths = [32, 32, 64, 64, 96, 96, 96, 160, 192, 192]
        strides = [1, 2, 1, 2, 1, 1, 1, 2, 1]
        pairs = zip(pairwise(widths), strides, strict=True)
        layers = [part for (wide, out), stride in pairs for part in self._pair(wide, out, stride)]
        self.body = nn.Sequential(_conv(3, widths[0]), *layers)
        self.head = nn.Linear(widths[-1], CLASSES)

    @staticmethod
    def _pair(wide: int, out: int, stride: int) -> tuple[nn.Module, nn.Module]:
        return _conv(wide, wide, stride, groups=wide), _conv(wide, out, size=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(image).mean((2, 3)))


class Transformer(nn.Module):
    """Two encoder layers over 32 tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(_WORDS, 128)
        self.position = nn.Parameter(torch.randn(1, _LENGTH, 128) * 0.1)
        layer = nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(128)
        self.head = nn.Linear(128, CLASSES)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.encoder(self.embedding(tokens) + self.position)).mean(1))


class Recurrent(nn.Module):
    """An LSTM over 32 frames of 40 features, as for keywords."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(_MELS, 96, batch_first=True)
        self.head = nn.Linear(96, CLASSES)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        return self.head(self.lstm(frames)[0][:, -1])


class Mlp(nn.Module):
    """Three hidden layers over 256 features."""

    def __init__(self) -> None:
        super().__init__()
        sizes = [256, 512, 256, 256]
        layers = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())]
        self.net = nn.Sequential(*layers, nn.Linear(sizes[-1], CLASSES))

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.net(features)


def images(labels: torch.Tensor, noise: float) -> torch.Tensor:
    """A coarse pattern for each class, moved about, under noise."""
    patterns = functional.interpolate(torch.randn(CLASSES, 3, 6, 6), size=(32, 32), mode="bilinear")
    shifts = torch.randint(-3, 4, (len(labels), 2)).tolist()
    found = [torch.roll(patterns[y], tuple(by), (1, 2)) for y, by in zip(labels, shifts, strict=True)]
    return torch.stack(found) + noise * torch.randn(len(labels), 3, 32, 32)


def tokens(labels: torch.Tensor, share: float) -> torch.Tensor:
    """Words of which a share belongs to the class."""
    own = torch.randint(0, _WORDS, (CLASSES, 40))
    picked = torch.gather(own[labels], 1, torch.randint(0, 40, (len(labels), _LENGTH)))
    others = torch.randint(0, _WORDS, (len(labels), _LENGTH))
    return torch.where(torch.rand(len(labels), _LENGTH) < share, picked, others)


def frames(labels: torch.Tensor, noise: float) -> torch.Tensor:
    """A slow melody for each class under noise."""
    melodies = functional.interpolate(torch.randn(CLASSES, _MELS, 6), size=_FRAMES, mode="linear")
    return melodies.transpose(1, 2)[labels] + noise * torch.randn(len(labels), _FRAMES, _MELS)


def features(labels: torch.Tensor, noise: float) -> torch.Tensor:
    """A point for each class under noise."""
    return torch.randn(CLASSES, 256)[labels] + noise * torch.randn(len(labels), 256)


Data = Callable[[torch.Tensor, float], torch.Tensor]
MODELS: Mapping[str, tuple[type[nn.Module], str, Data, float]] = {
    "cnn": (Plain, "image", images, 3.0),
    "residual": (Residual, "image", images, 3.0),
    "depthwise": (Depthwise, "image", images, 1.0),
    "transformer": (Transformer, "tokens", tokens, 0.25),
    "recurrent": (Recurrent, "frames", frames, 4.0),
    "mlp": (Mlp, "features", features, 3.5),
}
"""Class, name of the input, data, and how noisy these are (of tokens: which share tells the class)."""


def trained(name: str) -> Subject:
    """The model of that name with data of its own, the same on every call."""
    build, given, data, noise = MODELS[name]
    torch.manual_seed(11)
    labels = torch.randint(0, CLASSES, (_TRAINING + CALIBRATION + TEST,))
    inputs = data(labels, noise)
    module = build()
    _train(module, given, inputs[:_TRAINING], labels[:_TRAINING])
    arrays = inputs.numpy()
    samples = {given: arrays[-TEST:]}
    with torch.no_grad():
        wanted = module(**{given: inputs[-TEST:]}).numpy()
    right = wanted.argmax(1) == labels[-TEST:].numpy()
    return Subject(
        module=module,
        calibration={given: arrays[_TRAINING:-TEST]},
        samples=samples,
        wanted=wanted,
        accuracy=float(right.mean()),
    )


def _train(module: nn.Module, given: str, inputs: torch.Tensor, labels: torch.Tensor) -> None:
    optimizer = torch.optim.Adam(module.parameters(), lr=2e-3)
    module.train()
    for _ in range(_STEPS):
        rows = torch.randint(0, len(labels), (_BATCH,))
        loss = functional.cross_entropy(module(**{given: inputs[rows]}), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    module.eval()
