"""Small models, untrained but alive: every backend gets them right or refuses by the name of an operator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from contracts import wider_models as wider
from torch import nn


class Cnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(32, 10)

    def forward(self, image):
        return self.head(self.body(image))


class Residual(nn.Module):
    """Depthwise convolution, addition, and a mean over two axes in place of a pooling layer."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 24, 3, padding=1)
        self.depthwise = nn.Conv2d(24, 24, 3, padding=1, groups=24, bias=False)
        self.norm = nn.BatchNorm2d(24)
        self.pointwise = nn.Conv2d(24, 24, 1)
        self.head = nn.Linear(24, 10)

    def forward(self, image):
        x = torch.relu(self.stem(image))
        x = x + self.pointwise(nn.functional.relu6(self.norm(self.depthwise(x))))
        return self.head(x.mean((2, 3)))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(32, 64), nn.LayerNorm(64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 10)
        )

    def forward(self, features):
        return self.net(features)


class Transformer(nn.Module):
    """Both layers start with equal weights, as nn.TransformerEncoder makes them: exporters merge these."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(50, 32)
        self.position = nn.Parameter(torch.randn(1, 12, 32) * 0.1)
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, 10)

    def forward(self, tokens):
        return self.head(self.encoder(self.embedding(tokens) + self.position).mean(1))


@dataclass(frozen=True)
class Subject:
    """A model with calibration and test samples (disjoint) and PyTorch's own outputs on the latter, by
    name, in batches, since what a branch does depends on all samples that are fed at once."""

    module: nn.Module
    calibration: dict[str, np.ndarray]
    samples: dict[str, np.ndarray]
    wanted: dict[str, np.ndarray]


BATCH = 4
FIRST = ("cnn", "residual", "mlp", "transformer")
NAMES = (*FIRST, *wider.MODELS)
_CLASSES = {"cnn": Cnn, "residual": Residual, "mlp": Mlp, "transformer": Transformer, **wider.MODELS}


@cache
def subject(name: str) -> Subject:
    torch.manual_seed(7)
    module = _CLASSES[name]()
    inputs = _inputs(name, 96)
    with torch.no_grad():
        module.train()
        if name != "transformer":  # dropout there, and no running statistics to fill
            module(*inputs.values())
        module.eval()
        parts = [module(*(v[at : at + BATCH] for v in inputs.values())) for at in range(64, 96, BATCH)]
    named = [part if isinstance(part, Mapping) else {"output": part} for part in parts]
    arrays = {key: value.numpy() for key, value in inputs.items()}
    return Subject(
        module=module,
        calibration={key: value[:64] for key, value in arrays.items()},
        samples={key: value[64:] for key, value in arrays.items()},
        wanted={key: np.concatenate([part[key].numpy() for part in named]) for key in named[0]},
    )


def _inputs(name, count):
    if name in wider.MODELS:
        return wider.inputs(name, count)
    if name == "mlp":
        return {"features": torch.randn(count, 32)}
    if name == "transformer":
        return {"tokens": torch.randint(0, 50, (count, 12))}
    return {"image": wider.images(count, 1 if name == "cnn" else 3)}
