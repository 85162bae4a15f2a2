"""LiteRT by layers: their names, what keeping one in float does, what is read back, what is never emitted."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from contracts.backend_contract import BATCH, outputs, source
from contracts.models import subject
from paretune.backends.contract.agreement import sqnr_db
from paretune.backends.contract.backend import CompileSettings
from paretune.backends.registry import get_backend
from paretune.backends.tflite.backend import TfliteBackend
from paretune.backends.tflite.inspect import operators, weights
from paretune.backends.tflite.layers import layers
from paretune.backends.tflite.pack import compact
from paretune.backends.tflite.quantize import quantized
from paretune.profiles.errors import UnsupportedError
from paretune.profiles.precision import Precision
from paretune.search.stages.models.export import export
from torch import nn

pytestmark = pytest.mark.slow
BACKEND = TfliteBackend()
_FOLDER = tempfile.TemporaryDirectory(prefix="paretune-tflite-layers-")
MIXED = (Precision.INT8, Precision.INT8_DYNAMIC, Precision.INT16X8, Precision.INT4_WEIGHT)


class Named(nn.Module):
    """A recurrent cell (one weight, several operators), tied embeddings, names that trip up patterns."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(40, 16)
        self.cell = nn.GRU(16, 16, batch_first=True)
        self.own = nn.Parameter(torch.randn(16, 16) / 4)
        self.heads = nn.ModuleDict({name: nn.Linear(16, 16) for name in ("w+x(y)*", "c1", "c10")})
        self.decoder = nn.Linear(16, 40, bias=False)
        self.decoder.weight = self.embedding.weight
        self.last = nn.Linear(40, 5)

    def forward(self, tokens):
        x = self.cell(self.embedding(tokens))[0][:, -1] @ self.own
        for head in self.heads.values():
            x = x + torch.relu(head(x))
        return self.last(self.decoder(x))


@cache
def named():
    torch.manual_seed(0)
    data = {"tokens": np.random.default_rng(0).integers(0, 40, (32, 3))}
    return export(Named(), data, get_backend("tflite"), 1, _folder()), data


def _folder():
    return Path(tempfile.mkdtemp(dir=_FOLDER.name))


def compiled(precision, *keep):
    model, data = named()
    return BACKEND.compile(model, CompileSettings(precision=precision, keep_float=keep), data, _folder())


def compiled_subject(name, precision, **settings):
    made = CompileSettings(precision=precision, batch=BATCH, **settings)
    return BACKEND.compile(source(name, BACKEND), made, subject(name).calibration, _folder())


def floats(artifact):
    return {name for name, kind in artifact.stored_as.items() if kind == "float32"}


def test_layers_have_the_names_of_their_modules():
    groups = BACKEND.layers(named()[0], Precision.INT8)
    assert {group.layers: group.weights for group in groups} == {
        ("embedding", "decoder"): 40 * 16,
        ("cell",): 48 * 16,
        ("cell:2",): 48 * 16,
        ("model",): 16 * 16,
        ("w+x(y)*",): 16 * 16,
        ("c1",): 16 * 16,
        ("c10",): 16 * 16,
        ("last",): 40 * 5,
    }
    assert all(group.name == group.layers[0] for group in groups)


def test_equal_weights_that_the_converter_merged_are_tied():
    groups = BACKEND.layers(source("transformer", BACKEND), Precision.INT8_DYNAMIC)
    assert ("encoder.0.linear1", "encoder.1.linear1") in [group.layers for group in groups]


def test_fused_modules_do_not_give_their_names_to_layers():
    groups = BACKEND.layers(source("cnn", BACKEND), Precision.INT8)
    assert [group.name for group in groups] == ["body.0", "body.3", "head"]


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16])
def test_float_precisions_know_no_mixture(precision):
    assert BACKEND.layers(named()[0], precision) == ()
    with pytest.raises(ValueError, match="has no layers that can be kept in float"):
        compiled(precision, "c1")


@pytest.mark.parametrize("precision", MIXED)
@pytest.mark.parametrize(
    ("named_layer", "kept"),
    [
        ("c1", {"c1"}),  # not c10
        ("w+x(y)*", {"w+x(y)*"}),
        ("cell:2", {"cell:2"}),
        ("decoder", {"embedding", "decoder"}),
    ],
)
def test_exactly_the_named_layer_stays_float(precision, named_layer, kept):
    artifact = compiled(precision, named_layer)
    assert floats(artifact) == kept
    assert set(artifact.stored_as) == {layer.name for layer in layers(named()[0].path.read_bytes())}


def test_unknown_layers_are_an_error_that_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"no layer c2, c3; it has c1, c10, cell, "):
        compiled(Precision.INT8, "c1", "c3", "c2")


def test_keeping_everything_in_float_is_refused():
    kept = [group.name for group in BACKEND.layers(named()[0], Precision.INT8)]
    with pytest.raises(UnsupportedError, match=r"int8 would reach 0 % of the weights"):
        compiled(Precision.INT8, *kept)


@pytest.mark.parametrize("layer", ["stem", "depthwise", "pointwise"])
def test_a_float_layer_inside_a_static_graph_is_converted_around(layer):
    plain = compiled_subject("residual", Precision.INT8)
    mixed = compiled_subject("residual", Precision.INT8, keep_float=(layer,))
    made = subject("residual")
    wanted = made.module(torch.from_numpy(made.calibration["image"])).detach().numpy()
    with BACKEND.open(plain.path, BATCH, 1) as first, BACKEND.open(mixed.path, BATCH, 1) as second:
        before, after = (sqnr_db(wanted, outputs(session, made.calibration)) for session in (first, second))
    assert floats(mixed) == {layer}
    assert after > before - 1.0
    assert after >= 30.0


def test_depthwise_layers_of_int4_are_told():
    artifact = compiled_subject("residual", Precision.INT4_WEIGHT)
    assert artifact.stored_as == {"stem": "int4", "depthwise": "int8", "pointwise": "int4", "head": "int4"}
    assert "int4: 3 of 4 layers, 87.1 % of the weights; int8: depthwise" in artifact.notes
    assert any(note.startswith("depthwise convolutions are stored in 8 bits") for note in artifact.notes)


def test_what_stays_float_is_told_by_name():
    artifact = compiled(Precision.INT8, "last")
    assert "int8: 8 of 9 layers, 94.1 % of the weights; float32: last" in artifact.notes


@pytest.mark.parametrize("precision", [Precision.INT8_DYNAMIC, Precision.INT4_WEIGHT])
def test_depthwise_layers_are_expanded_when_loaded(precision):
    """No dynamic kernel on XNNPACK: the constant passes through DEQUANTIZE into a float operator."""
    assert "DEQUANTIZE" in operators(compiled_subject("residual", precision).path.read_bytes())


def test_pointwise_convolutions_are_products_at_four_bits():
    found = {
        precision: [w.operator for w in weights(compiled_subject("residual", precision).path.read_bytes())]
        for precision in (Precision.INT4_WEIGHT, Precision.INT8)
    }
    assert found[Precision.INT4_WEIGHT][2:] == ["FULLY_CONNECTED", "FULLY_CONNECTED"]
    assert found[Precision.INT8][2:] == ["CONV_2D", "FULLY_CONNECTED"]


class OddEmbedding(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(11, 15), nn.Linear(15, 24)

    def forward(self, tokens):
        return self.head(self.embedding(tokens).mean(1))


def test_four_bit_embeddings_of_odd_width_come_out_wrong_and_are_never_emitted():
    torch.manual_seed(0)
    data = {"tokens": np.random.default_rng(0).integers(0, 11, (32, 4))}
    model = export(OddEmbedding(), data, get_backend("tflite"), 1, _folder())
    artifact = BACKEND.compile(model, CompileSettings(precision=Precision.INT4_WEIGHT), data, _folder())
    assert artifact.stored_as == {"embedding": "int8", "head": "int4"}


@pytest.mark.parametrize("precision", [Precision.FP16, *MIXED])
@pytest.mark.parametrize("name", ["cnn", "transformer"])
def test_writing_the_file_again_changes_no_output(name, precision, tmp_path):
    made, model = subject(name), source(name, BACKEND)
    settings = CompileSettings(precision=precision, batch=BATCH)
    content, _ = quantized(model.path.read_bytes(), settings, made.calibration)
    results = []
    for title, written in (("before", content), ("after", compact(content))):
        path = tmp_path / f"{title}.tflite"
        path.write_bytes(written)
        with BACKEND.open(path, BATCH, 1) as session:
            results.append((session.inputs, session.outputs, outputs(session, made.samples)))
    assert results[0][:2] == results[1][:2]
    np.testing.assert_array_equal(results[0][2], results[1][2])
    assert len(compact(content)) < len(content)
    assert b"torch.nn" not in compact(content)
    assert compact(compact(content)) == compact(content)


def test_an_artifact_names_its_weights_by_layers():
    artifact = compiled_subject("cnn", Precision.INT8)
    assert {layer.name for layer in layers(artifact.path.read_bytes())} == set(artifact.stored_as)
