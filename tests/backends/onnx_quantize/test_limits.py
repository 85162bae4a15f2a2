"""Graphs that onnxruntime's static quantizer fails at, or makes what does not run of, when left to itself."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.contract.agreement import sqnr_db
from paretune.backends.onnx_graph.session import run_all
from paretune.backends.onnx_quantize.quantize import prepared, to_int8

RNG = np.random.default_rng(0)
node = helper.make_node


def normal(*shape):
    return RNG.normal(size=shape).astype(np.float32)


def model(nodes, weights, kind, shape):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def grouped():
    """A transposed convolution in four groups, with a bias for each output."""
    nodes = [node("ConvTranspose", ["x", "w", "b"], ["y"], group=4, strides=[2, 2])]
    return model(nodes, {"w": normal(8, 2, 3, 3), "b": normal(8)}, TensorProto.FLOAT, [4, 8, 5, 5])


def tied():
    """A table that is looked up, and read again as the weight of a product."""
    nodes = [
        node("Gather", ["table", "x"], ["e"]),
        node("Relu", ["e"], ["r"]),
        node("Gemm", ["r", "table"], ["y"], transB=1),
    ]
    return model(nodes, {"table": normal(20, 8)}, TensorProto.INT64, [4])


def normed():
    """A norm over three axes, whose scale is no vector."""
    nodes = [
        node("Conv", ["x", "w"], ["c"]),
        node("LayerNormalization", ["c", "scale", "shift"], ["y"], axis=1),
    ]
    weights = {"w": normal(6, 8, 3, 3), "scale": 1 + 0.1 * normal(6, 3, 3), "shift": normal(6, 3, 3)}
    return model(nodes, weights, TensorProto.FLOAT, [4, 8, 5, 5])


@pytest.mark.parametrize("make", [grouped, tied, normed])
def test_it_is_quantized_and_agrees(make):
    source = prepared(make())
    whole = source.graph.input[0].type.tensor_type.elem_type == TensorProto.INT64
    data = {"x": RNG.integers(0, 20, 32) if whole else normal(32, 8, 5, 5)}
    made = to_int8(source, data, 4, "minmax", True)
    feed = {"x": data["x"][:4]}
    assert sqnr_db(run_all(source, feed)["y"], run_all(made, feed)["y"]) > 20
    assert any(t.data_type == TensorProto.INT8 for t in onnx.ModelProto(graph=made.graph).graph.initializer)
