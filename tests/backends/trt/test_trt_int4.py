"""Weights as int4 in blocks: which, how large the blocks, and what becomes of a grid of training."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.trt.int4 import block_of, find_products, insert_int4


def model(*shapes, transposed=False, last=None):
    """Products one after the other, each [inputs, outputs]."""
    random = np.random.default_rng(0)
    nodes, weights, name = [], [], "x"
    for index, shape in enumerate(shapes):
        array = random.standard_normal(shape[::-1] if transposed else shape, dtype=np.float32)
        weights.append(numpy_helper.from_array(array, f"w{index}"))
        kind, more = ("Gemm", {"transB": 1}) if transposed else ("MatMul", {})
        nodes.append(helper.make_node(kind, [name, f"w{index}"], [f"h{index}"], name=f"n{index}", **more))
        name = f"h{index}"
    edges = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", shapes[0][0]]),
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", shapes[-1][1]]),
    ]
    graph = helper.make_graph(nodes, "g", edges[:1], edges[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def unpacked(small, name):
    """A weight as the DequantizeLinear of the graph gives it, and the scales."""
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in small.graph.initializer}
    node = next(node for node in small.graph.node if node.output[0].startswith(f"{name}_axis"))
    axis, block = (next(a.i for a in node.attribute if a.name == key) for key in ("axis", "block_size"))
    codes, scales = held[node.input[0]].astype(np.float32), held[node.input[1]]
    assert np.abs(codes).max() <= 7
    assert scales.shape[axis] * block == codes.shape[axis]
    return codes * np.repeat(scales, block, axis=axis), scales, axis


@pytest.mark.parametrize(
    ("length", "block"),
    [(256, 32), (64, 32), (32, 16), (48, 24), (30, 15), (100, 25), (16, 8), (15, 0), (31, 0), (7, 0), (0, 0)],
)
def test_blocks_are_whole_and_at_least_two(length, block):
    assert block_of(length) == block


def test_what_has_no_blocks_stays_float():
    graph = model((64, 31), (31, 9), (9, 32), (32, 7))
    assert [site.tensor for site in find_products(graph)] == ["w0", "w3"]
    assert [site.tensor for site in find_products(graph, keep={"n0"})] == ["w3"]


@pytest.mark.parametrize("transposed", [False, True])
def test_a_weight_is_within_half_a_step_of_each_block(transposed):
    graph = model((64, 10), transposed=transposed)
    small = insert_int4(graph, find_products(graph))
    onnx.checker.check_model(small, full_check=True)
    got, scales, axis = unpacked(small, "w0")
    wanted = numpy_helper.to_array(graph.graph.initializer[0])
    assert axis == int(transposed)
    assert (np.abs(got - wanted) <= 0.5001 * np.repeat(scales, 32, axis=axis)).all()
    assert "w0" not in {tensor.name for tensor in small.graph.initializer}


@pytest.mark.parametrize("transposed", [False, True])
def test_weights_on_a_grid_of_each_channel_come_back_exactly(transposed):
    graph = model((64, 10), transposed=transposed)
    tensor = graph.graph.initializer[0]
    array, axis = numpy_helper.to_array(tensor), int(transposed)
    scale = np.abs(array).max(axis=axis, keepdims=True) / np.float32(7)
    trained = (np.rint(array / scale) * scale).astype(np.float32)
    tensor.CopyFrom(numpy_helper.from_array(trained, "w0"))
    got, _, _ = unpacked(insert_int4(graph, find_products(graph)), "w0")
    np.testing.assert_allclose(got, trained, rtol=1e-6)


def test_a_weight_of_two_readers_is_stored_once_for_each_way_to_read_it():
    graph = model((32, 32), (32, 32))
    graph.graph.node[1].input[1] = "w0"
    small = insert_int4(graph, find_products(graph))
    assert [node.op_type for node in small.graph.node] == ["DequantizeLinear", "MatMul", "MatMul"]
    assert {node.input[1] for node in small.graph.node if node.op_type == "MatMul"} == {"w0_axis0_dq"}


def test_zeros_stay_zeros():
    graph = model((64, 4))
    graph.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.zeros((64, 4), np.float32), "w0"))
    got, scales, _ = unpacked(insert_int4(graph, find_products(graph)), "w0")
    assert not got.any()
    assert (scales > 0).all()


def test_a_grid_too_fine_for_float16_scales_is_left():
    graph = model((64, 4))
    trained = np.full((64, 4), 7e-6, np.float32)  # codes of 7 at a scale of 1e-6, subnormal in float16
    graph.graph.initializer[0].CopyFrom(numpy_helper.from_array(trained, "w0"))
    _, scales, _ = unpacked(insert_int4(graph, find_products(graph)), "w0")
    assert scales.min() >= 2.0**-20
