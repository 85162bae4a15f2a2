"""Costs of ONNX graphs, counted by hand here."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.estimate.costs import Kernel
from paretune.backends.estimate.count import cost_of
from paretune.profiles.precision import Precision


def graph(nodes, inputs, outputs, **constants):
    """A model of nodes with float inputs and outputs of these shapes."""
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)])


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


CNN = graph(
    [
        node("Conv", "x w", "a", pads=[1, 1, 1, 1]),
        node("Relu", "a", "b"),
        node("Conv", "b d", "c", group=8, pads=[1, 1, 1, 1]),
        node("Conv", "c p", "e"),
        node("Add", "e b", "f"),
        node("GlobalAveragePool", "f", "g"),
        node("Flatten", "g", "h"),
        node("Gemm", "h m", "y"),
    ],
    {"x": ["N", 3, 10, 10]},
    ["y"],
    w=zeros(8, 3, 3, 3),
    d=zeros(8, 1, 3, 3),
    p=zeros(8, 8, 1, 1),
    m=zeros(8, 10),
)


def test_layers_are_counted_as_they_run():
    cost = cost_of(CNN, batch=2)
    found = [(layer.kernel, layer.macs, layer.weights, layer.read, layer.written) for layer in cost.layers]
    assert found == [
        (Kernel.CONVOLUTION, 200 * 8 * 27, 216, 600, 1600),
        (Kernel.DEPTHWISE, 200 * 8 * 9, 72, 1600, 1600),
        (Kernel.POINTWISE, 200 * 64, 64, 1600, 1600),
        (Kernel.ELEMENTWISE, 0, 0, 3200, 1600),
        (Kernel.POOL, 0, 0, 1600, 16),
        (Kernel.PRODUCT, 160, 80, 16, 20),
    ]
    # The skip is alive beside what the pointwise convolution reads and writes.
    assert cost.peak_elements == 3 * 1600
    assert cost.weight_bytes == 4 * (216 + 72 + 64 + 80)


def test_a_precision_changes_bytes_and_not_work():
    whole, narrow = cost_of(CNN), cost_of(CNN, Precision.INT8)
    assert narrow == whole.at(Precision.INT8)
    assert narrow.macs == whole.macs
    assert narrow.weight_bytes * 4 == whole.weight_bytes
    assert narrow.peak_activation_bytes * 4 == whole.peak_activation_bytes
    only_weights = whole.at(Precision.INT4_WEIGHT)
    assert only_weights.weight_bytes * 8 == whole.weight_bytes
    assert only_weights.peak_activation_bytes == whole.peak_activation_bytes


@pytest.mark.parametrize(
    ("nodes", "inputs", "constants", "macs", "steps"),
    [
        (
            [node("LSTM", "x w r", "y", hidden_size=4)],
            {"x": [5, 2, 3]},
            {"w": zeros(1, 16, 3), "r": zeros(1, 16, 4)},
            5 * 2 * 16 * 7,
            5,
        ),
        ([node("MatMul", "x z", "y")], {"x": [2, 5, 3], "z": [2, 3, 7]}, {}, 2 * 5 * 3 * 7, 1),
        (
            [node("Einsum", "x z", "y", equation="bij,bjk->bik")],
            {"x": [2, 5, 3], "z": [2, 3, 7]},
            {},
            2 * 5 * 3 * 7,
            1,
        ),
        (
            [node("ConvTranspose", "x w", "y", strides=[2, 2])],
            {"x": [1, 4, 6, 6]},
            {"w": zeros(4, 5, 2, 2)},
            4 * 36 * 5 * 4,
            1,
        ),
        ([node("Gemm", "x w", "y", transA=1)], {"x": [3, 2]}, {"w": zeros(3, 7)}, 2 * 3 * 7, 1),
    ],
    ids=["lstm", "product", "einsum", "transposed", "gemm"],
)
def test_multiply_adds(nodes, inputs, constants, macs, steps):
    (layer,) = cost_of(graph(nodes, inputs, ["y"], **constants), batch=inputs["x"][0]).layers
    assert (layer.macs, layer.launches) == (macs, steps)


def test_a_lookup_reads_a_few_rows_of_its_table():
    model = graph([node("Gather", "t i", "y")], {}, ["y"], t=zeros(1000, 8))
    model.graph.input.append(helper.make_tensor_value_info("i", TensorProto.INT64, ["N", 4]))
    (layer,) = cost_of(model).layers
    assert (layer.kernel, layer.weights, layer.read, layer.written) == (Kernel.MOVE, 8000, 32, 32)


def test_a_model_that_came_quantized_is_counted_as_it_is():
    scale = {"s": np.float32(0.1), "zero": np.int8(0), "w8": zeros(7, 3, 1, 1, dtype=np.int8)}
    nodes = [
        node("QuantizeLinear", "x s zero", "q"),
        node("DequantizeLinear", "q s zero", "d"),
        node("DequantizeLinear", "w8 s zero", "w"),
        node("Conv", "d w", "y"),
    ]
    (layer,) = cost_of(graph(nodes, {"x": [1, 3, 4, 4]}, ["y"], **scale), Precision.GIVEN).layers
    assert (layer.kernel, layer.precision, layer.weight_bytes) == (Kernel.POINTWISE, Precision.INT8, 21)


def test_constants_and_branches(tmp_path):
    branch = helper.make_graph(
        [node("Conv", "x w", "z")],
        "then",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 2, 4, 4])],
    )
    nodes = [
        node("ReduceSum", "x", "s", keepdims=0),
        node("Greater", "s limit", "c"),
        node("If", "c", "y", then_branch=branch, else_branch=branch),
    ]
    model = graph(nodes, {"x": [1, 3, 4, 4]}, ["y"], w=zeros(2, 3, 1, 1), limit=np.float32(0))
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    assert [layer.op for layer in cost_of(path).layers].count("Conv") == 2
