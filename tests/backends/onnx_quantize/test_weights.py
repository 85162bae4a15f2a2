"""Weights alone made smaller: what is stored, and what ONNX says it means."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.onnx_graph.inspect import weight_bytes
from paretune.backends.onnx_graph.layers import find_layers
from paretune.backends.onnx_graph.session import run_all
from paretune.backends.onnx_graph.stored import stored_as, zero_share
from paretune.backends.onnx_quantize.weights import (
    channel_codes,
    to_bfloat16,
    to_float16_weights,
    to_int8_weight,
)
from paretune.profiles.errors import UnsupportedError

RNG = np.random.default_rng(0)
WEIGHTS = {
    "words": RNG.normal(size=(20, 6)),
    "conv": RNG.normal(size=(5, 3, 2)) * np.logspace(-2, 2, 5)[:, None, None],
    "product": RNG.normal(size=(5, 4)) * np.logspace(-2, 2, 4),
    "turned": RNG.normal(size=(3, 4)) * np.logspace(-2, 2, 3)[:, None],
}
FEED = {"tokens": RNG.integers(0, 20, (2, 3))}


def model(opset=17):
    nodes = [
        helper.make_node("Gather", ["words", "tokens"], ["embedded"], name="embed"),
        helper.make_node("Conv", ["embedded", "conv"], ["convolved"], name="conv"),
        helper.make_node("Transpose", ["convolved"], ["rows"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["rows", "product"], ["multiplied"], name="product"),
        helper.make_node("ReduceMean", ["multiplied"], ["pooled"], axes=[1], keepdims=0),
        helper.make_node("Gemm", ["pooled", "turned"], ["y"], transB=1, name="turned"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("tokens", TensorProto.INT64, [2, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])],
        [numpy_helper.from_array(array.astype(np.float32), name) for name, array in WEIGHTS.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


@pytest.mark.parametrize(
    ("change", "kind"), [(to_int8_weight, "int8"), (to_bfloat16, "bfloat16"), (to_float16_weights, "float16")]
)
def test_all_weights_are_stored_small_and_mean_the_same(change, kind):
    source = model()
    made = change(source)
    onnx.checker.check_model(made)
    layers = find_layers(source)
    assert stored_as(made, layers) == dict.fromkeys(["words", "conv", "product", "turned"], kind)
    assert sum(weight_bytes(made).values()) < 0.7 * sum(weight_bytes(source).values())
    wanted, got = run_all(source, FEED)["y"], run_all(made, FEED)["y"]
    assert np.all(np.abs(got - wanted) <= 0.02 * np.abs(wanted).max(axis=0))


def test_each_channel_has_a_scale_of_its_own():
    for axis in (0, -1):
        weight = RNG.normal(size=(4, 4)).astype(np.float32) * np.float32([1e-3, 1, 1e3, 0])
        weight = weight if axis else weight.T
        codes, scales = channel_codes(weight, axis)
        assert np.abs(codes).max(axis=0 if axis else 1).tolist() == [127, 127, 127, 0]
        assert scales.shape == (4,)


def test_zeros_stay_zeros():
    source = model()
    holes = np.where(np.arange(20).reshape(5, 4) % 2, WEIGHTS["product"], 0).astype(np.float32)
    tensor = next(one for one in source.graph.initializer if one.name == "product")
    tensor.CopyFrom(numpy_helper.from_array(holes, "product"))
    layers = [layer for layer in find_layers(source) if layer.weight == "product"]
    assert zero_share(to_int8_weight(source), layers) == zero_share(source, layers) == 0.5


def test_some_nodes_or_operators_are_left_in_float():
    layers = find_layers(model())
    kept = stored_as(to_int8_weight(model(), keep=["conv"]), layers)
    assert [name for name, kind in kept.items() if kind == "float32"] == ["conv"]
    products = stored_as(to_int8_weight(model(), operators=("MatMul", "Gemm")), layers)
    assert [name for name, kind in products.items() if kind == "int8"] == ["product", "turned"]


def test_an_opset_without_scales_for_channels_is_named():
    with pytest.raises(UnsupportedError, match="opset 12"):
        to_int8_weight(model(opset=12))
