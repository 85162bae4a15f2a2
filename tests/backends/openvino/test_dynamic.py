"""int8-dynamic is what its name says, or is refused: outputs tell, since kernels do not."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.openvino.backend import OpenVinoBackend
from paretune.backends.registry import offered_precisions
from paretune.profiles.devices.host import probe_host
from paretune.profiles.errors import UnsupportedError
from paretune.profiles.precision import Precision

RNG = np.random.default_rng(0)
DATA = {"x": RNG.normal(size=(16, 64)).astype(np.float32)}
QUANTIZES = Precision.INT8_DYNAMIC in offered_precisions("openvino", probe_host(measure=False))


def compiled(tmp_path, precision, weight):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
        "g",
        [value("x", TensorProto.FLOAT, ["batch", *weight.shape[:-1]])],
        [value("y", TensorProto.FLOAT, ["batch", weight.shape[-1]])],
        [numpy_helper.from_array(weight.astype(np.float32), "w")],
    )
    folder = tmp_path / str(precision)
    folder.mkdir()
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(made, folder / "source.onnx")
    source = SourceModel(path=folder / "source.onnx", format="onnx")
    data = {"x": DATA["x"][:, : len(weight)]}
    return OpenVinoBackend().compile(source, CompileSettings(precision=precision, batch=2), data, folder)


def outputs(artifact):
    with OpenVinoBackend().open(artifact.path, 2, 1) as session:
        return session.run({"x": DATA["x"][:2]})["y"]


def test_weights_alone_are_small_or_activations_too(tmp_path):
    """The same weights: what differs is the arithmetic, and float arithmetic is exact."""
    weight = RNG.normal(size=(64, 32))
    in_float = outputs(compiled(tmp_path, Precision.INT8_WEIGHT, weight))
    scale = np.abs(weight).max(0) / 127
    expected = DATA["x"][:2] @ (np.rint(weight / scale) * scale)
    np.testing.assert_allclose(in_float, expected, rtol=1e-4, atol=1e-4)
    if QUANTIZES:
        rounded = outputs(compiled(tmp_path, Precision.INT8_DYNAMIC, weight))
        assert 1e-4 < np.abs(rounded - expected).max() < 0.3


def test_a_product_too_small_to_be_quantized_is_refused(tmp_path):
    with pytest.raises(UnsupportedError, match="use int8-weight"):
        compiled(tmp_path, Precision.INT8_DYNAMIC, RNG.normal(size=(3, 2)))


def test_weights_that_tell_nothing_are_not_refused(tmp_path):
    """A last layer that starts at zero, as many do: no arithmetic can be told from its outputs."""
    artifact = compiled(tmp_path, Precision.INT8_DYNAMIC, np.zeros((64, 32)))
    assert artifact.stored_as == {"w": "int8"}
