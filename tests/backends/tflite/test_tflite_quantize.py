"""What is particular to LiteRT: which recipe a model gets, and what its files hold."""

import tempfile
from collections import OrderedDict
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from contracts.backend_contract import centred_sqnr_db
from contracts.models import subject
from paretune.backends.contract.agreement import check_agreement
from paretune.backends.contract.backend import CompileSettings, batches
from paretune.backends.registry import get_backend
from paretune.backends.tflite.backend import TfliteBackend
from paretune.backends.tflite.inspect import operators, weight_bytes
from paretune.backends.tflite.session import TfliteSession
from paretune.profiles.errors import StageError, UnsupportedError
from paretune.profiles.precision import Precision
from paretune.search.stages.models.export import export
from torch import nn

pytestmark = pytest.mark.slow
BACKEND = TfliteBackend()
_FOLDER = tempfile.TemporaryDirectory(prefix="paretune-tflite-")


@cache
def source(name):
    made = subject(name)
    return export(
        made.module, made.calibration, get_backend("tflite"), 4, Path(tempfile.mkdtemp(dir=_FOLDER.name))
    )


def compiled(name, precision, calibration=None, **settings):
    return BACKEND.compile(
        source(name),
        CompileSettings(precision=precision, batch=4, **settings),
        calibration or subject(name).calibration,
        Path(tempfile.mkdtemp(dir=_FOLDER.name)),
    )


def test_operators_are_read_from_the_file():
    assert {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"} <= operators(
        source("residual").path.read_bytes()
    )
    assert "EMBEDDING_LOOKUP" in operators(source("transformer").path.read_bytes())


def test_weight_bytes_are_those_of_the_parameters():
    linears = [m for m in subject("mlp").module.modules() if isinstance(m, nn.Linear)]
    parameters = sum(p.numel() for linear in linears for p in linear.parameters())
    stored = weight_bytes(source("mlp").path.read_bytes())
    # LayerNorm starts as the identity, of which only its small constants are left.
    assert 0 <= stored["float32"] - 4 * parameters <= 64


def test_weights_behind_the_flatbuffer_are_found(tmp_path):
    """The quantizer writes the weights of large models after the flatbuffer proper."""
    torch.manual_seed(0)
    model = nn.Sequential(OrderedDict(first=nn.Linear(1024, 2048), act=nn.ReLU(), last=nn.Linear(2048, 512)))
    data = {"input": np.random.default_rng(0).standard_normal((4, 1024)).astype(np.float32)}
    settings = CompileSettings(precision=Precision.INT8_DYNAMIC, batch=1)
    folder = tmp_path / "int8"
    folder.mkdir()
    artifact = BACKEND.compile(
        export(model, data, get_backend("tflite"), 1, tmp_path), settings, data, folder
    )
    assert artifact.weight_bytes["int8"] == 1024 * 2048 + 2048 * 512


def test_embeddings_are_quantized_beside_static_layers():
    for precision in (Precision.INT8, Precision.INT16X8):
        stored = compiled("transformer", precision).weight_bytes
        assert stored["int8"] > 50 * 32 + 2 * 32 * 64
        assert stored.get("float32", 0) < 4 * 50 * 32


def test_a_convolutional_net_is_quantized_whole():
    artifact = compiled("cnn", Precision.INT8)
    assert "float32" not in artifact.weight_bytes
    assert not any("only" in note for note in artifact.notes)


@pytest.mark.parametrize("name", ["mlp", "transformer"])
def test_operators_without_fast_int8_kernels_stay_float(name):
    artifact = compiled(name, Precision.INT8)
    note = next(note for note in artifact.notes if note.startswith("only matrix products"))
    assert "GELU" in note or "BATCH_MATMUL" in note
    assert artifact.weight_bytes["int8"] > artifact.weight_bytes.get("float32", 0)


def test_four_bits_tell_how_they_compute():
    assert any("rounded to 8 bits" in note for note in compiled("mlp", Precision.INT4_WEIGHT).notes)


def test_per_tensor_weights_are_another_artifact_and_still_right():
    one, many = (compiled("cnn", Precision.INT8, per_channel=flag) for flag in (False, True))
    assert one.size_bytes < many.size_bytes  # one scale for each weight in place of one for each channel


def test_calibration_on_other_data_is_noticed():
    """Ranges of almost nothing clip every activation: the artifact cannot agree on real samples."""
    real = subject("cnn").calibration
    loose = compiled("cnn", Precision.INT8, {"image": real["image"] * 1e-6}, check=False)
    wanted, got = BACKEND.open(source("cnn").path, 4, 1), BACKEND.open(loose.path, 4, 1)
    with pytest.raises(StageError, match="disagrees with the float model"):
        check_agreement(wanted, got, 4, real)


def test_source_of_another_batch_is_refused():
    settings = CompileSettings(precision=Precision.FP32, batch=2)
    with pytest.raises(ValueError, match="exported for batch 4, asked for 2"):
        BACKEND.compile(source("mlp"), settings, None, Path(tempfile.mkdtemp(dir=_FOLDER.name)))


def test_the_source_is_never_overwritten():
    original = source("mlp").path.read_bytes()
    settings = CompileSettings(precision=Precision.INT8_DYNAMIC, batch=4)
    with pytest.raises(ValueError, match=r"would overwrite the source model model\.tflite"):
        BACKEND.compile(source("mlp"), settings, None, source("mlp").path.parent)
    assert source("mlp").path.read_bytes() == original


def test_tokens_outside_the_vocabulary_raise_and_do_not_crash():
    with (
        TfliteSession(source("transformer").path, 1) as session,
        pytest.raises(RuntimeError, match="EMBEDDING"),
    ):
        session.run({"tokens": np.full((4, 12), 999)})


def test_what_is_not_a_model_does_not_open(tmp_path):
    (tmp_path / "m.tflite").write_bytes(b"nothing at all, and certainly no flatbuffer")
    with pytest.raises(ValueError, match=r"TFL3|buffer|Model"):
        BACKEND.open(tmp_path / "m.tflite", 1, 1)


def test_precision_that_does_not_exist():
    with pytest.raises(UnsupportedError, match="LiteRT has no bf16 kernels"):
        compiled("mlp", Precision.BF16)


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_rare_values_are_clipped_unless_asked_for(method):
    """One pixel far out of range spoils the least and greatest value, and hardly a histogram."""
    made = subject("cnn")
    images = made.calibration["image"].copy()
    images[3, 0, 5, 5] = 40 * images.max()
    agreement = {}
    for chosen in ("minmax", method):
        artifact = compiled("cnn", Precision.INT8, {"image": images}, calibration_method=chosen, check=False)
        with BACKEND.open(artifact.path, 4, 1) as session:
            got = np.concatenate([session.run(feed)["output"] for feed in batches(made.samples, 4)])
        agreement[chosen] = centred_sqnr_db(made.wanted["output"], got)
    assert agreement[method] > agreement["minmax"] + 0.5


def test_calibration_methods_agree_where_nothing_is_rare():
    artifacts = [compiled("cnn", Precision.INT8, calibration_method=m) for m in BACKEND.calibration_methods]
    assert len({artifact.path.read_bytes() for artifact in artifacts}) == 3
    notes = [note for artifact in artifacts for note in artifact.notes if note.startswith("agrees")]
    assert len(notes) == 3
    assert all(float(note.split()[6]) > 35 for note in notes)


class Passing(nn.Module):
    """Gives its input back beside what it makes of it: the quantizer's graph would give the input's codes."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(16, 10)

    def forward(self, x):
        return {"y": self.layer(x), "x": x}


def test_an_output_that_is_read_as_codes_stays_float(tmp_path):
    data = {"x": np.random.default_rng(0).normal(size=(8, 16)).astype(np.float32)}
    source = export(Passing(), data, BACKEND, 4, tmp_path)
    (tmp_path / "int8").mkdir()
    artifact = BACKEND.compile(
        source, CompileSettings(precision=Precision.INT8, batch=4), data, tmp_path / "int8"
    )
    with BACKEND.open(artifact.path, 4, 1) as session:
        feed = next(batches(data, 4))
        assert np.array_equal(session.run(feed)["x"], feed["x"])
        assert {spec.name: spec.dtype for spec in session.outputs} == {"x": "float32", "y": "float32"}
