"""Mixed precision on models that PyTorch exported: each group of layers kept in float by itself."""

from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from paretune.backends.contract.backend import CompileSettings
from paretune.backends.ort.backend import OrtBackend
from paretune.profiles.precision import Precision
from paretune.search.stages.models.export import export_onnx
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


def bake(weight, levels):
    """Put a weight [outputs, ...] on the grid absmax / levels of each output channel, as training does."""
    with torch.no_grad():
        largest = weight.abs().amax(dim=tuple(range(1, weight.ndim)), keepdim=True)
        weight.copy_(torch.round(weight / largest * levels) * (largest / levels))


def outputs(artifact, model, samples):
    with torch.no_grad():
        wanted = model(torch.from_numpy(samples)).numpy()
    with BACKEND.open(artifact.path, len(samples), 1) as session:
        return wanted, session.run({session.inputs[0].name: samples})[session.outputs[0].name]


def test_a_model_trained_for_four_bits_computes_the_same_as_its_artifact():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(80, 48), nn.ReLU(), nn.Linear(48, 10)).eval()
    samples = RNG.standard_normal((16, 80)).astype(np.float32)
    errors = {}
    for name in ("plain", "baked"):
        if name == "baked":
            for layer in (model[0], model[2]):
                bake(layer.weight, 7)
        source = export_onnx(model, {"input": samples}, Path(mkdtemp()))
        settings = CompileSettings(precision=Precision.INT4_WEIGHT, batch=16)
        artifact = BACKEND.compile(source, settings, {"input": samples}, Path(mkdtemp()))
        wanted, got = outputs(artifact, model, samples)
        errors[name] = np.abs(wanted - got).max()
    assert errors["plain"] > 1e-2
    assert errors["baked"] < 1e-5


def test_batch_normalization_leaves_a_trained_seven_bit_grid_where_it_is():
    """Folding it multiplies each output channel, and its largest weight with it."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(288, 5))
    with torch.no_grad():
        model[1].weight.uniform_(-2, 2)
        model[1].running_var.uniform_(0.5, 2)
    for layer in (model[0], model[4]):
        bake(layer.weight, 64)
    source = export_onnx(model.eval(), {"input": IMAGES}, Path(mkdtemp()))
    settings = CompileSettings(precision=Precision.INT8, batch=16)
    artifact = BACKEND.compile(source, settings, {"input": IMAGES}, Path(mkdtemp()))
    constant = {t.name: numpy_helper.to_array(t) for t in onnx.load(artifact.path).graph.initializer}
    for name, own in (("0.weight", model[0]), ("4.weight", model[4])):
        weight = own.weight.detach().numpy()
        axes = tuple(range(1, weight.ndim))
        codes = np.rint(weight / np.abs(weight).max(axis=axes, keepdims=True) * 64)
        (stored,) = (array for key, array in constant.items() if key.endswith(f"{name}_quantized"))
        sign = np.sign(np.sum(stored * codes, axis=axes, keepdims=True))  # a negative factor turns the signs
        assert np.array_equal(stored, codes * sign)
