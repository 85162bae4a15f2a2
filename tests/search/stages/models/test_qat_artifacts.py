"""What real runtimes make of weights that fake quantization put on a grid."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from paretune.backends.contract.backend import CompileSettings, batches
from paretune.backends.registry import get_backend
from paretune.profiles.precision import Precision
from paretune.search.stages.models.export import export
from paretune.search.stages.training.fake_quantize import FakeQuantization, qat_bits
from paretune.search.stages.training.fold_norms import fold_norms
from torch import nn

pytestmark = pytest.mark.slow
BATCH = 16


class Pictures(nn.Module):
    """Convolutions with norms, one of them depthwise."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.deep, self.second = nn.Conv2d(16, 16, 3, groups=16, bias=False), nn.BatchNorm2d(16)
        self.point, self.head = nn.Conv2d(16, 32, 1), nn.Linear(32, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        hidden = torch.relu(self.first(self.stem(image)))
        hidden = torch.relu(self.point(torch.relu(self.second(self.deep(hidden)))))
        return self.head(hidden.mean(dim=(2, 3)))


class Words(nn.Module):
    """An embedding and a Transformer layer."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 32)
        self.layer = nn.TransformerEncoderLayer(32, 2, 64, dropout=0.0, batch_first=True)
        self.head = nn.Linear(32, 10)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(self.words(tokens)).mean(dim=1))


def pictures() -> tuple[nn.Module, Mapping[str, np.ndarray]]:
    torch.manual_seed(0)
    model, images = Pictures(), torch.randn(BATCH, 3, 8, 8)
    for norm in (model.first, model.second):
        nn.init.uniform_(norm.weight, 0.5, 2.0)
    with torch.no_grad():
        for _ in range(20):
            model(images + 1)
    return model.eval(), {"image": images.numpy()}


def words() -> tuple[nn.Module, Mapping[str, np.ndarray]]:
    torch.manual_seed(0)
    return Words().eval(), {"tokens": torch.randint(0, 50, (BATCH, 6)).numpy()}


def artifact_outputs(
    model: nn.Module, data, backend_name: str, precision: Precision, into: Path
) -> np.ndarray:
    backend = get_backend(backend_name)
    for folder in ("source", "artifact"):
        (into / folder).mkdir(parents=True)
    source = export(model, data, backend, BATCH, into / "source")
    settings = CompileSettings(precision=precision, batch=BATCH)
    artifact = backend.compile(source, settings, data, into / "artifact")
    (feed,) = batches(data, BATCH)
    with backend.open(artifact.path, BATCH, 1) as session:
        return session.run(feed)["output"]


def distance(found: np.ndarray, wanted: np.ndarray) -> float:
    """Error as a share of what is wanted, without its mean over samples (root of mean squares)."""
    return float(np.sqrt(((found - wanted) ** 2).mean() / (wanted - wanted.mean(axis=0)).var()))


# What is left: ranges of activations inside (int8), activations rounded as they run (4 bits on LiteRT),
# LiteRT's finer steps of 8-bit weights. Where weights alone are rounded, nothing is.
CASES = [
    (pictures, "ort", Precision.INT8, 0.08),
    (pictures, "tflite", Precision.INT8, 0.08),
    (pictures, "tflite", Precision.INT4_WEIGHT, 0.04),
    (words, "tflite", Precision.INT4_WEIGHT, 0.04),
    (words, "ort", Precision.INT4_WEIGHT, 1e-4),
]


@pytest.mark.parametrize(("make", "backend", "precision", "tolerance"), CASES)
def test_an_artifact_computes_what_fake_quantization_did(make, backend, precision, tolerance, tmp_path):
    model, data = make()
    inputs = [torch.from_numpy(array) for array in data.values()]
    fold_norms(model, inputs)
    with torch.no_grad():
        plain = model(*inputs).numpy()
        rounding = FakeQuantization(model, *qat_bits(precision))
        rounding.calibrate([inputs])
        predicted = model(*inputs).numpy()
    rounding.bake()
    found = artifact_outputs(model, data, backend, precision, tmp_path)
    assert distance(found, predicted) < tolerance
    if precision is Precision.INT4_WEIGHT:  # so the weights were rounded once, not twice
        assert distance(found, plain) > 3 * tolerance
