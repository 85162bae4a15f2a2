"""Mixed precision on models that PyTorch exported: each group of layers kept in float by itself."""

from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
import torch
from paretune.backends.contract import CompileSettings
from paretune.backends.ort import OrtBackend
from paretune.profiles.precision import Precision
from paretune.search.stages.export import export_onnx
from torch import nn

pytestmark = pytest.mark.slow
BACKEND = OrtBackend()
RNG = np.random.default_rng(0)


class Residual(nn.Module):
    """Batch normalization, a depthwise convolution, a transposed one, and a sum of two paths."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.deep = nn.Sequential(nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8), nn.BatchNorm2d(8))
        self.skip = nn.Conv2d(8, 8, 1, stride=2)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = self.stem(x)
        x = torch.relu(self.up(torch.relu(self.deep(x) + self.skip(x))))
        return self.head(x.mean((2, 3)))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(50, 32)
        block = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, 5)

    def forward(self, ids):
        return self.head(self.blocks(self.words(ids)).mean(1))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.memory = nn.LSTM(16, 24, 2, batch_first=True)
        self.head = nn.Linear(24, 5)

    def forward(self, x):
        return self.head(self.memory(x)[0][:, -1])


IMAGES = RNG.standard_normal((16, 1, 8, 8)).astype(np.float32)
SERIES = RNG.standard_normal((16, 9, 16)).astype(np.float32)
MODELS = {
    "residual": (Residual, {"x": IMAGES}),
    "encoder": (Encoder, {"ids": RNG.integers(0, 50, (16, 12))}),
    "recurrent": (Recurrent, {"x": SERIES}),
}


@lru_cache
def exported(name):
    build, samples = MODELS[name]
    torch.manual_seed(0)
    model = build().eval()
    with torch.no_grad():
        for parameter in model.parameters():  # as training leaves them: no two alike, no biases of zero
            parameter.add_(0.05 * torch.randn_like(parameter))
    folder = Path(mkdtemp())
    return export_onnx(model, {key: array[:4] for key, array in samples.items()}, folder), samples


def compiled(name, precision, keep=(), batch=4):
    source, samples = exported(name)
    settings = CompileSettings(precision=precision, batch=batch, keep_float=keep)
    return BACKEND.compile(source, settings, samples, Path(mkdtemp()))


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("residual", Precision.INT8),
        ("residual", Precision.INT8_DYNAMIC),
        ("encoder", Precision.INT8),
        ("encoder", Precision.INT8_DYNAMIC),
        ("encoder", Precision.INT4_WEIGHT),
        ("recurrent", Precision.INT8_DYNAMIC),
    ],
    ids=str,
)
def test_each_group_can_be_kept_by_itself(name, precision):
    groups = BACKEND.layers(exported(name)[0], precision)
    names = {layer for group in groups for layer in group.layers}
    plain = compiled(name, precision)
    assert {layer for layer, kind in plain.stored_as.items() if kind != "float32"} == names
    for group in groups:
        kept = compiled(name, precision, group.layers, batch=1)
        low = {layer for layer, kind in kept.stored_as.items() if kind != "float32"}
        assert low == names - set(group.layers)
        assert kept.weight_bytes["float32"] >= 4 * group.weights


def test_layers_have_the_names_of_the_modules():
    groups = BACKEND.layers(exported("encoder")[0], Precision.INT8)
    parts = ("self_attn.in_proj", "self_attn.out_proj", "linear1", "linear2")
    assert {layer for group in groups for layer in group.layers} == {
        "words",
        "head",
        *(f"blocks.layers.{block}.{part}" for block in (0, 1) for part in parts),
    }
    images = BACKEND.layers(exported("residual")[0], Precision.INT8)
    assert {frozenset(group.layers) for group in images} == {
        frozenset({"stem.0"}),
        frozenset({"deep.0", "skip"}),
        frozenset({"up"}),
        frozenset({"head"}),
    }
