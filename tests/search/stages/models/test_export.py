"""Export of PyTorch modules: names, batch, modes, refusals, and the comparison with PyTorch."""

import os
import sys

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from paretune.backends.contract.backend import Backend
from paretune.backends.registry import get_backend
from paretune.backends.tflite.backend import TfliteBackend
from paretune.profiles.errors import StageError, UnsupportedError
from paretune.search.stages.models.export import export, export_onnx
from torch import nn

RNG = np.random.default_rng(0)
IMAGES = {"image": RNG.standard_normal((6, 3, 8, 8)).astype(np.float32)}


class TwoInputs(nn.Module):
    """Tokens and features; gives a dictionary with a tuple inside."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(20, 8), nn.Linear(12, 5)

    def forward(self, tokens, features):
        joined = torch.cat([self.embedding(tokens).mean(1), features], dim=1)
        return {"logits": (self.head(joined), joined), "joined": joined}


TWO_INPUTS = {
    "tokens": RNG.integers(0, 20, (6, 7)),
    "features": RNG.standard_normal((6, 4)).astype(np.float32),
}


def normed():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten())


class Named(nn.Module):
    """Gives a layer stack the argument name that the sample has."""

    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, image):
        return self.body(image)


def run_onnx(path, feed):
    return ReferenceEvaluator(str(path)).run(None, feed)[0]


def torch_output(module, feed):
    with torch.no_grad():
        return module.eval()(*(torch.from_numpy(a) for a in feed.values()))


def test_onnx_has_named_inputs_and_a_dynamic_batch(tmp_path):
    module = TwoInputs()
    made = export_onnx(module, TWO_INPUTS, tmp_path)
    graph = onnx.load(made.path).graph
    assert made.format == "onnx"
    assert [value.name for value in graph.input] == ["tokens", "features"]
    assert [value.name for value in graph.output] == ["logits_0", "logits_1", "joined"]
    for value in (*graph.input, *graph.output):
        assert value.type.tensor_type.shape.dim[0].dim_param == "batch"
    feed = {name: array[:3] for name, array in TWO_INPUTS.items()}
    wanted = torch_output(module, feed)["logits"][0].numpy()
    assert np.allclose(run_onnx(made.path, feed), wanted, atol=1e-5)


class NamedLikeOperators(nn.Module):
    """Its exporter would call a value `cat`, as this input is called, and another one `add`."""

    def forward(self, cat, add):
        return torch.cat([cat, add], dim=1) + 1.0


def test_inputs_may_be_called_like_operators(tmp_path):
    sample = {name: RNG.standard_normal((8, 4)).astype(np.float32) for name in ("cat", "add")}
    source = export_onnx(NamedLikeOperators(), sample, tmp_path)
    graph = onnx.load(source.path).graph
    assert [value.name for value in (*graph.input, *graph.output)] == ["cat", "add", "output"]
    np.testing.assert_allclose(run_onnx(source.path, sample), np.concatenate([*sample.values()], 1) + 1)


def test_onnx_bytes_are_repeatable_and_tell_nothing_of_the_machine(tmp_path):
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        contents.append(export_onnx(Named(normed()), IMAGES, tmp_path / name).path.read_bytes())
    assert contents[0] == contents[1]
    for trace in (str(tmp_path), os.path.dirname(__file__), "site-packages", ".py"):  # noqa: PTH120
        assert trace.encode() not in contents[0]


def test_a_sample_of_one_row_still_gives_a_dynamic_batch(tmp_path):
    made = export_onnx(Named(normed()), {"image": IMAGES["image"][:1]}, tmp_path)
    assert run_onnx(made.path, IMAGES).shape == (6, 144)


@pytest.mark.parametrize("backend", ["ort", pytest.param("tflite", marks=pytest.mark.slow)])
def test_training_mode_is_neither_exported_nor_changed(tmp_path, backend):
    module = Named(normed()).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    made = export(module, IMAGES, get_backend(backend), 6, tmp_path)
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    if backend == "ort":
        got = run_onnx(made.path, IMAGES)
    else:
        with TfliteBackend().open(made.path, 6, 1) as session:
            got = session.run(IMAGES)["output"]
    assert np.allclose(got, torch_output(module, IMAGES).numpy(), atol=1e-5)


def test_onnx_names_the_operator_that_it_lacks(tmp_path):
    class Decomposed(nn.Module):
        def forward(self, image):
            return torch.linalg.svd(image.flatten(2))[1]

    with pytest.raises(UnsupportedError, match=r"operator aten\S*svd\S* cannot be exported to ONNX"):
        export_onnx(Decomposed(), IMAGES, tmp_path)


def test_onnx_that_disagrees_with_pytorch_is_refused(tmp_path):
    class Counting(nn.Module):
        """Adds how often it was called: every trace bakes in another number."""

        def __init__(self):
            super().__init__()
            self.calls = [0]

        def forward(self, image):
            self.calls[0] += 1
            return image.flatten(1) + float(self.calls[0])

    with pytest.raises(StageError, match="ONNX model disagrees with PyTorch: largest difference"):
        export_onnx(Counting(), IMAGES, tmp_path)


def test_model_made_for_one_batch_is_refused(tmp_path):
    class Fixed(nn.Module):
        def forward(self, image):
            return image.reshape(6, 1, 192).expand(6, 2, 192) + image.reshape(6, 192).sum()

    with pytest.raises(UnsupportedError, match="does not run on a batch of 1"):
        export_onnx(Fixed(), IMAGES, tmp_path)


def test_model_that_gives_nan_is_refused(tmp_path):
    class Broken(nn.Module):
        def forward(self, image):
            return image.flatten(1) * float("nan")

    with pytest.raises(StageError, match="largest difference nan"):
        export_onnx(Broken(), IMAGES, tmp_path)


def test_a_format_without_an_exporter_is_named(tmp_path):
    class Gguf(TfliteBackend):
        source_format, export = "gguf", Backend.export

    with pytest.raises(UnsupportedError, match="has no exporter to gguf"):
        export(Named(normed()), IMAGES, Gguf(), 1, tmp_path)


@pytest.mark.slow
def test_tflite_takes_the_inputs_of_pytorch(tmp_path):
    module = TwoInputs()
    made = export(module, TWO_INPUTS, get_backend("tflite"), 3, tmp_path)
    feed = {name: array[:3] for name, array in TWO_INPUTS.items()}
    with TfliteBackend().open(made.path, 3, 1) as session:
        found = {spec.name: (spec.dtype, spec.shape) for spec in session.inputs}
        got = session.run(feed)
    assert made.format == "tflite"
    assert found == {"tokens": ("int64", (3, 7)), "features": ("float32", (3, 4))}
    assert sorted(got) == ["joined", "logits_0", "logits_1"]
    assert np.allclose(got["logits_0"], torch_output(module, feed)["logits"][0].numpy(), atol=1e-5)


@pytest.mark.slow
def test_tflite_batch_may_exceed_the_sample(tmp_path):
    made = export(Named(normed()), IMAGES, get_backend("tflite"), 16, tmp_path)
    with TfliteBackend().open(made.path, 16, 1) as session:
        assert session.inputs[0].shape == (16, 3, 8, 8)


@pytest.mark.slow
def test_tflite_prints_nothing(tmp_path, capfd):
    export(Named(normed()), IMAGES, get_backend("tflite"), 2, tmp_path)
    sys.stdout.flush()
    assert capfd.readouterr().out == ""


@pytest.mark.slow
def test_tflite_names_the_operator_that_it_lacks(tmp_path):
    class Pooled(nn.Module):
        def forward(self, image):
            return nn.functional.adaptive_max_pool2d(image, 3).flatten(1)

    with pytest.raises(
        UnsupportedError, match=r"operator aten\.\w*adaptive_max_pool2d\w* cannot be exported"
    ):
        export(Pooled(), IMAGES, get_backend("tflite"), 2, tmp_path)


@pytest.mark.slow
def test_tflite_that_converts_but_cannot_run_is_refused(tmp_path):
    class Sorted(nn.Module):
        def forward(self, image):
            return torch.sort(image.flatten(1), dim=1)[0]

    with pytest.raises(UnsupportedError, match=r"cannot run the model: Didn't find op .*STABLEHLO_SORT"):
        export(Sorted(), IMAGES, get_backend("tflite"), 2, tmp_path)
