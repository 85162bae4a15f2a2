"""What LiteRT's quantizer makes of weights that stand on a grid already, and of zeros that pruning left."""

import tempfile
from functools import cache
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from paretune.backends.contract.backend import CompileSettings
from paretune.backends.contract.compiling import check_zeros
from paretune.backends.registry import get_backend
from paretune.backends.tflite.backend import TfliteBackend
from paretune.backends.tflite.layers import zero_share, zeros
from paretune.profiles.errors import StageError
from paretune.profiles.precision import Precision
from paretune.search.stages.models.export import export
from torch import nn

pytestmark = pytest.mark.slow
BACKEND = TfliteBackend()
_FOLDER = tempfile.TemporaryDirectory(prefix="paretune-tflite-grid-")
ZEROS = 0.6


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(30, 16)
        self.conv = nn.Conv2d(1, 8, 3, padding=1, stride=2)
        self.inner = nn.Conv2d(8, 24, 3)
        self.pointwise = nn.Conv2d(24, 20, 1)
        self.depthwise = nn.Conv2d(20, 20, 3, groups=20)
        self.head = nn.Linear(20, 5)

    def forward(self, tokens):
        x = self.embedding(tokens).unsqueeze(1)
        for layer in (self.conv, self.inner, self.pointwise, self.depthwise):
            x = torch.relu(layer(x))
        return self.head(x.mean((2, 3)))


LAYERS = ("embedding", "conv", "inner", "pointwise", "depthwise", "head")


def on_grid(weight, levels, generator):
    """Weights q * absmax / levels for each output channel (axis 0), each with an absmax; most q are 0."""
    codes = generator.integers(-levels, levels + 1, weight.shape)
    codes[generator.random(weight.shape) < ZEROS] = 0
    flat = codes.reshape(len(codes), -1)
    flat[:, 0] = levels * generator.choice([-1, 1], len(flat))
    largest = generator.uniform(0.1, 1.0, len(flat)).astype(np.float32)
    steps = (largest / np.float32(levels)).reshape(-1, *[1] * (weight.ndim - 1))
    return codes, (codes * steps).astype(np.float32)


@cache
def grid(levels):
    """The exported model, its calibration data, and the codes and values of each layer's weight."""
    generator = np.random.default_rng(levels)
    torch.manual_seed(0)
    net, wanted = Net(), {}
    for name in LAYERS:
        weight = getattr(net, name).weight
        codes, values = on_grid(weight, levels, generator)
        wanted[name] = (codes, values)
        weight.data = torch.from_numpy(values)
    data = {"tokens": generator.integers(0, 30, (32, 16))}
    into = Path(tempfile.mkdtemp(dir=_FOLDER.name))
    return export(net, data, get_backend("tflite"), 1, into, on_grid=True), data, wanted


@cache
def compiled(levels, precision):
    model, data, _ = grid(levels)
    into = Path(tempfile.mkdtemp(dir=_FOLDER.name))
    return BACKEND.compile(model, CompileSettings(precision=precision), data, into)


def stored(artifact):
    """Name to (integers, real values) of each weight in the file, output channels first."""
    model = schema.ModelT.InitFromPackedBuf(artifact.path.read_bytes(), 0)
    found = {}
    for tensor in model.subgraphs[0].tensors:
        name = (tensor.name or b"").decode()
        if name not in LAYERS:
            continue
        raw, shape = np.asarray(model.buffers[tensor.buffer].data, np.uint8), tuple(tensor.shape)
        if tensor.type == schema.TensorType.INT4:
            raw = np.stack([raw & 15, raw >> 4], axis=1).ravel()[: np.prod(shape)]
            codes = np.where(raw > 7, raw.astype(int) - 16, raw)
        else:
            assert tensor.type == schema.TensorType.INT8
            codes = raw.view(np.int8).astype(int)
        assert not np.any(tensor.quantization.zeroPoint)
        axis = tensor.quantization.quantizedDimension
        codes = np.moveaxis(codes.reshape(shape), axis, 0)
        scale = np.asarray(tensor.quantization.scale).reshape(-1, *[1] * (codes.ndim - 1))
        found[name] = codes, codes * scale
    return found


def as_stored(weight):
    """PyTorch's [out, in, height, width] in the file's order, output channels first."""
    return weight.transpose(0, 2, 3, 1) if weight.ndim == 4 else weight


@pytest.mark.parametrize("name", ["embedding", "inner", "pointwise", "head"])
def test_a_four_bit_grid_comes_back_exactly(name):
    codes, values = grid(7)[2][name]
    got_codes, got_values = stored(compiled(7, Precision.INT4_WEIGHT))[name]
    np.testing.assert_array_equal(got_codes.ravel(), as_stored(codes).ravel())
    np.testing.assert_allclose(got_values.ravel(), as_stored(values).ravel(), rtol=1e-6)


@pytest.mark.parametrize("name", ["conv", "depthwise"])
def test_depthwise_layers_keep_a_four_bit_grid_within_half_a_step_of_eight(name):
    """A convolution of one channel is a depthwise one here."""
    _, values = grid(7)[2][name]
    codes, got = stored(compiled(7, Precision.INT4_WEIGHT))[name]
    assert np.abs(codes).max() == 127
    _within_half_a_step(got, values, 127)


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.INT8_DYNAMIC, Precision.INT16X8])
def test_an_eight_bit_grid_comes_back_exactly(precision):
    found = stored(compiled(127, precision))
    for name, (codes, _) in grid(127)[2].items():
        np.testing.assert_array_equal(found[name][0].ravel(), as_stored(codes).ravel())


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.INT8_DYNAMIC, Precision.INT16X8])
def test_a_grid_of_onnx_runtime_is_kept_within_half_a_step(precision):
    found = stored(compiled(64, precision))
    for name, (_, values) in grid(64)[2].items():
        _within_half_a_step(found[name][1], values, 127)


def _within_half_a_step(got, values, levels):
    wanted = as_stored(values).reshape(len(values), -1)
    steps = np.abs(wanted).max(axis=1, keepdims=True) / levels
    # Depthwise weights come as [channel, 1, height, width], ordinary ones as [out, height, width, in].
    assert np.all(np.abs(got.reshape(wanted.shape) - wanted) <= 0.5001 * steps)


@pytest.mark.parametrize(
    "precision", [Precision.FP32, Precision.FP16, Precision.INT8, Precision.INT16X8, Precision.INT4_WEIGHT]
)
def test_zeros_of_pruning_survive(precision):
    model, _, wanted = grid(7)
    codes = np.concatenate([codes.ravel() for codes, _ in wanted.values()])
    share = float(np.mean(codes == 0))
    assert zero_share(model.path.read_bytes()) == pytest.approx(share)
    assert compiled(7, precision).zero_share == pytest.approx(share)


def test_lost_zeros_fail_with_both_shares():
    artifact = compiled(7, Precision.INT8)
    model = schema.ModelT.InitFromPackedBuf(artifact.path.read_bytes(), 0)
    tensor = next(t for t in model.subgraphs[0].tensors if t.name == b"inner")
    codes = np.array(model.buffers[tensor.buffer].data)
    codes[:200][codes[:200] == 0] = 1
    model.buffers[tensor.buffer].data = codes
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    before = grid(7)[0].path.read_bytes()
    with pytest.raises(StageError, match=r"59\.3 % of the weights of inner were zero, 52\.5 % are in"):
        check_zeros(zeros(before, bytes(builder.Output())))
    check_zeros(zeros(before, artifact.path.read_bytes()))


def test_a_few_zeros_that_rounding_moves_are_no_loss():
    """The float model of a dense net has hardly any zeros: nothing to keep."""
    dense, sparse = grid(127)[0].path.read_bytes(), grid(7)[0].path.read_bytes()
    check_zeros(zeros(dense, compiled(127, Precision.INT8).path.read_bytes()))
    assert zero_share(sparse) > 0.5
