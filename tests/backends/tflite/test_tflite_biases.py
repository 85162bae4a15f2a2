"""Biases and ranges that LiteRT's quantizer would clip or refuse: as good as ONNX Runtime's."""

import numpy as np
import pytest
import torch
from paretune.backends.contract.agreement import sqnr_db
from paretune.backends.contract.backend import CompileSettings
from paretune.backends.registry import get_backend
from paretune.profiles.precision import Precision
from paretune.search.stages.models.export import export
from torch import nn

pytestmark = pytest.mark.slow
DATA = {"input": np.random.default_rng(0).standard_normal((16, 3, 8, 8)).astype(np.float32)}
FIRST = {
    "plain": lambda: nn.Conv2d(3, 12, 3, padding=1),
    "depthwise": lambda: nn.Conv2d(3, 12, 3, padding=1, groups=3),
    "transposed": lambda: nn.Sequential(nn.ConvTranspose2d(3, 12, 4, 2, 1), nn.BatchNorm2d(12)),
    "linear": lambda: nn.Linear(8, 12),
}


def dead(kind, tiny):
    """Four channels with almost no weight and an offset of 3."""
    torch.manual_seed(0)
    first = FIRST[kind]()
    with torch.no_grad():
        for layer in first.modules():
            if isinstance(layer, nn.ConvTranspose2d):
                layer.weight[:, :4] *= tiny
            elif isinstance(layer, (nn.Conv2d, nn.Linear)):
                layer.weight[:4] *= tiny
            if isinstance(layer, (nn.modules.conv._ConvNd, nn.Linear)):
                layer.bias[:4] = 3.0
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_var.uniform_(0.5, 2)
    last = nn.Linear(12, 4) if kind == "linear" else nn.Conv2d(12, 4, 1)
    return nn.Sequential(first, nn.ReLU(), last).eval()


def exported(name, model, data, folder):
    folder.mkdir()
    return export(model, data, get_backend(name), 1, folder)


def decibels(name, source, model, data, precision, folder, **settings):
    backend = get_backend(name)
    folder.mkdir()
    settings = CompileSettings(precision=precision, batch=1, check=False, **settings)
    artifact = backend.compile(source, settings, data, folder)
    rows = [{key: value[i : i + 1] for key, value in data.items()} for i in range(16)]
    with backend.open(artifact.path, 1, 1) as session, torch.no_grad():
        got = np.concatenate([next(iter(session.run(row).values())) for row in rows])
        want = model(*(torch.from_numpy(value) for value in data.values())).numpy()
    return sqnr_db(want, got)


@pytest.mark.parametrize("kind", FIRST)
def test_offsets_of_dead_channels_are_kept(kind, tmp_path):
    """Weights of 1e-40 of their size are less than float32 can scale."""
    model = dead(kind, 1e-40 if kind == "linear" else 1e-6)
    source = exported("ort", model, DATA, tmp_path / "onnx")
    theirs = decibels("ort", source, model, DATA, Precision.INT8, tmp_path / "ort")
    source = exported("tflite", model, DATA, tmp_path / "tflite")
    for precision in (Precision.INT8, Precision.INT16X8):
        for fine in (True, False):
            at = tmp_path / f"{precision}-{fine}"
            assert decibels("tflite", source, model, DATA, precision, at, per_channel=fine) > theirs - 3


class Encoder(nn.Module):
    """Concatenation with a constant, a floor under a sum: a constant takes the range of what it meets."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Linear(6, 16)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(16, 3)

    def forward(self, steps, mask):
        hidden = torch.cat([self.token.expand(len(steps), 1, 16), self.embedding(steps)], 1)
        weights = torch.cat([mask[:, :1], mask], 1)[:, :, None]
        pooled = (self.encoder(hidden) * weights).sum(1) / weights.sum(1).clamp(min=1e-3)
        return self.head(pooled)


def test_sixteen_bit_activations_on_a_transformer(tmp_path):
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    data = {
        "steps": rng.standard_normal((16, 8, 6)).astype(np.float32),
        "mask": (np.arange(8) < rng.integers(3, 9, (16, 1))).astype(np.float32),
    }
    model = Encoder().eval()
    source = exported("tflite", model, data, tmp_path / "tflite")
    for fine, method in ((True, "minmax"), (False, "percentile")):
        settings = {"per_channel": fine, "calibration_method": method}
        at = tmp_path / method
        assert decibels("tflite", source, model, data, Precision.INT16X8, at, **settings) > 30
