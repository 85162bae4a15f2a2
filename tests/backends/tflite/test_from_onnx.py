"""ONNX files on LiteRT: the models of the contract, what files are called, and what is refused."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from contracts.backend_contract import LEAST_SQNR_DB, centred_sqnr_db, source_of
from contracts.models import BATCH, subject
from contracts.onnx_files import FIRST, body, model, node, scores, value
from onnx import TensorProto
from paretune.backends.contract.backend import CompileSettings, SourceModel, all_outputs
from paretune.backends.onnx_graph.prepare import prepare
from paretune.backends.tflite.backend import TfliteBackend
from paretune.backends.tflite.layers import sizes
from paretune.profiles.errors import UnsupportedError
from paretune.profiles.precision import Precision

pytestmark = pytest.mark.slow
BACKEND = TfliteBackend()
_FOLDER = tempfile.TemporaryDirectory(prefix="paretune-from-onnx-")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 8)).astype(np.float32)
IMAGE, FOUR_AXES = value("x", ("N", 3, 12, 12)), value("y", ("N", None, None, None))
IMAGES = RNG.normal(size=(6, 3, 12, 12)).astype(np.float32)


def converted(proto, batch=2, **data):
    """The .tflite file of a model, and its outputs for some data."""
    folder = Path(tempfile.mkdtemp(dir=_FOLDER.name))
    prepared = prepare(proto, {name: array.shape for name, array in data.items()}).proto
    onnx.save(prepared, folder / "model.onnx")
    return folder / "model.tflite", BACKEND.from_onnx(
        folder / "model.onnx", data, batch, folder / "model.tflite"
    )


def int8(path, data, batch=2):
    """The outputs of a .tflite file in int8."""
    source = SourceModel(path=path, format="tflite")
    settings = CompileSettings(precision=Precision.INT8, batch=batch)
    folder = Path(tempfile.mkdtemp(dir=_FOLDER.name))
    made = BACKEND.compile(source, settings, data, folder)
    with BACKEND.open(made.path, batch, 1) as session:
        return all_outputs(session, data, batch)


@cache
def of_contract(name):
    return converted(onnx.load(source_of(name, "ort", BATCH).path), BATCH, **subject(name).samples)


@pytest.mark.parametrize("name", ["cnn", "transformer", "transposed", "two-inputs", "branch"])
def test_models_of_the_contract_compute_the_same(name):
    _, got = of_contract(name)
    for output, wanted in subject(name).wanted.items():
        assert centred_sqnr_db(wanted, got[output]) >= LEAST_SQNR_DB[Precision.FP32]


@pytest.mark.parametrize("name", ["cnn", "transformer"])
def test_what_comes_after_is_as_for_models_of_pytorch(name):
    path, _ = of_contract(name)
    got = int8(path, subject(name).samples, BATCH)
    for output, wanted in subject(name).wanted.items():
        assert centred_sqnr_db(wanted, got[output]) >= LEAST_SQNR_DB[Precision.INT8]


def test_names_of_inputs_outputs_and_layers_are_those_of_the_file():
    nodes = [node("MatMul", ["class/0:1", "first"], ["y"], name="/body/a.0/MatMul")]
    proto = model(nodes, inputs=[value("class/0:1")], outputs=[value("y", ("N", 8))])
    path, got = converted(proto, **{"class/0:1": X})
    assert np.allclose(got["y"], X @ FIRST, atol=1e-5)
    assert list(sizes(path.read_bytes())) == ["body_a_0_MatMul"]


def test_outputs_keep_their_types_and_may_be_read_by_the_model_itself():
    nodes = [*body(), node("ArgMax", ["y"], ["label"], axis=1, keepdims=0)]
    ends = [value("y", ("N", 3)), value("label", ("N",), TensorProto.INT64)]
    path, got = converted(model(nodes, outputs=ends), x=X)
    assert got["label"].dtype == np.int64
    assert np.array_equal(got["label"], scores(X).argmax(1))
    assert centred_sqnr_db(scores(X), int8(path, {"x": X})["y"]) > 20


def test_padded_max_pooling_runs_in_int8():
    kernel = RNG.normal(0, 0.3, (4, 3, 3, 3)).astype(np.float32)
    nodes = [
        node("Conv", ["x", "k"], ["c"]),
        node("MaxPool", ["c"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    ]
    proto = model(nodes, {"k": kernel}, inputs=[IMAGE], outputs=[FOUR_AXES])
    path, wanted = converted(proto, x=IMAGES)
    assert centred_sqnr_db(wanted["y"], int8(path, {"x": IMAGES})["y"]) > 25


@pytest.mark.parametrize("how", ["half_pixel", "asymmetric"])
def test_nearest_resizing_by_a_broken_factor_is_right(how):
    """PyTorch's own is converted to other places."""
    nodes = [node("Resize", ["x", "", "s"], ["y"], mode="nearest", coordinate_transformation_mode=how)]
    scales = np.array([1, 1, 1.5, 2], np.float32)
    proto = model(nodes, {"s": scales}, inputs=[IMAGE], outputs=[FOUR_AXES])
    _, got = converted(proto, x=IMAGES)
    (wanted,) = onnx.reference.ReferenceEvaluator(proto).run(None, {"x": IMAGES})
    assert np.allclose(got["y"], wanted)


def float64():
    return model(inputs=[value("x", kind=TensorProto.DOUBLE)])


def bits():
    """An operator that PyTorch has and the converter has not."""
    ends = (value("x", kind=TensorProto.INT64), value("y", kind=TensorProto.INT64))
    nodes = [node("Add", ["x", "k"], ["z"]), node("BitwiseAnd", ["z", "k"], ["y"])]
    return model(nodes, {"k": np.int64(3)}, inputs=[ends[0]], outputs=[ends[1]], opset=18)


REFUSED = {
    "TopK": (lambda: model([node("TopK", ["x", "k"], ["y", "i"])], {"k": np.array([3])}), X),
    "BitwiseAnd": (bits, X.astype(np.int64)),
    "float64": (float64, X.astype(np.float64)),
}


@pytest.mark.parametrize("named", REFUSED)
def test_what_cannot_be_converted_is_refused_by_its_operator(named):
    make, x = REFUSED[named]
    with pytest.raises(UnsupportedError, match=named):
        converted(make(), x=x)
