"""Dynamic 8-bit weights of convolutions have a scale for each channel."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.onnx_graph.session import run_all
from paretune.backends.onnx_quantize.quantize import prepared, to_int8_dynamic

SCALES = np.logspace(-2, 2, 8, dtype=np.float32).reshape(8, 1, 1, 1)


def model() -> onnx.ModelProto:
    """A depthwise convolution with channels 1e4 apart, and a product with columns 100 apart."""
    rng = np.random.default_rng(0)
    weights = {
        "w": rng.normal(size=(8, 1, 3, 3)).astype(np.float32) * SCALES,
        "head": rng.normal(size=(6, 5)).astype(np.float32) * np.logspace(-1, 1, 5, dtype=np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], group=8, name="c"),
        helper.make_node("MatMul", ["x", "head"], ["y"], name="y"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 8, 6, 6])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("c", "y")],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_small_channels_are_as_exact_as_large_ones():
    source = prepared(model())
    feed = {"x": np.random.default_rng(1).normal(size=(2, 8, 6, 6)).astype(np.float32)}
    wanted, got = run_all(source, feed), run_all(to_int8_dynamic(source), feed)
    for name, others in (("c", (0, 2, 3)), ("y", (0, 1, 2))):
        error = np.abs(wanted[name] - got[name]).max(others)
        assert np.all(error < 0.03 * np.abs(wanted[name]).max(others)), name


def test_scales_are_those_of_the_channels_and_zero_is_exact():
    source = prepared(model())
    for tensor in source.graph.initializer:
        if tensor.name == "w":
            array = numpy_helper.to_array(tensor).copy()
            array[3], array[5, 0, 1, 1] = 0, 0
            tensor.CopyFrom(numpy_helper.from_array(array, "w"))
    stored = {t.name: numpy_helper.to_array(t) for t in to_int8_dynamic(source).graph.initializer}
    assert stored["w_quantized"].dtype == np.uint8
    assert stored["w_scale"].shape == (8, 1, 1)
    assert stored["head_scale"].shape == (5,)
    assert stored["w_zero_point"] == 128
    assert np.all(stored["w_quantized"][3] == 128)
    assert stored["w_quantized"][5, 0, 1, 1] == 128
    back = (stored["w_quantized"].astype(np.float32) - 128) * stored["w_scale"].reshape(8, 1, 1, 1)
    assert np.all(np.abs(back - array) <= 0.501 * stored["w_scale"].reshape(8, 1, 1, 1))
