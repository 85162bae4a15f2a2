"""What runs low is read from the runtime's own model, not from what is stored."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.contract.backend import SourceModel
from paretune.backends.openvino.backend import OpenVinoBackend
from paretune.backends.openvino.placement import LowLayer, low_layers, proof, running
from paretune.profiles.errors import UnsupportedError
from paretune.profiles.precision import Precision


def layer(name, weights, operator="Conv"):
    return LowLayer(operator=operator, names=frozenset({name, f"{name}_out"}), weight=name, weights=weights)


BIG, SMALL = layer("big", 90, "ConvTranspose"), layer("block/small", 10)


def test_layers_whose_weights_are_stored_low_are_found():
    stored = {
        "codes": np.ones((4, 4), np.int8),
        "scale": np.ones(4, np.float32),
        "plain": np.ones((4, 4), np.float32),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["codes", "scale"], ["w"], axis=1),
        helper.make_node("MatMul", ["x", "w"], ["low"], name="first"),
        helper.make_node("MatMul", ["low", "plain"], ["y"], name="second"),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", TensorProto.FLOAT, [1, 4])],
        [value("y", TensorProto.FLOAT, [1, 4])],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    (found,) = low_layers(onnx.helper.make_model(graph))
    assert (found.operator, found.names, found.weights) == ("MatMul", {"first", "low"}, 16)


def test_a_layer_is_known_by_its_names_whatever_was_fused_into_it():
    kernels = {"block/small/WithoutBiases": "jit_I8", "big_out": "jit_f32", "bigger": "jit_bf16"}
    assert running([BIG, SMALL], kernels) == {BIG: "jit_f32", SMALL: "jit_I8"}
    assert running([BIG], {"other": "jit_I8"}) == {}


def test_what_mostly_runs_in_float_is_refused_with_its_operators():
    computed = {BIG: "brgconv_avx512_f32", SMALL: "brgconv_avx512_I8"}
    with pytest.raises(UnsupportedError, match=r"10 % .* ConvTranspose \(brgconv_avx512_f32\)"):
        proof(Precision.INT8, computed)
    (note,) = proof(Precision.GIVEN, computed)  # what is handed in runs as it is
    assert "1 of 2" in note


def test_what_runs_low_is_told_where_the_precision_asks_for_it():
    (note,) = proof(Precision.BF16, {BIG: "brgconv_avx512_bf16", SMALL: "brgconv_avx512_f32"})
    assert "1 of 2" in note
    assert "90.0 %" in note
    assert proof(Precision.INT8_WEIGHT, {BIG: "brgemm_avx512_f32"}) == ()
    assert proof(Precision.INT8, {}) == ()


def test_what_it_quantizes_as_it_runs_are_matrix_products(tmp_path):
    """A convolution stays in float at int8-dynamic, so that keeping it in float means nothing."""
    value = helper.make_tensor_value_info
    weights = {"conv": (4, 3, 1), "product": (5, 2)}
    nodes = [
        helper.make_node("Conv", ["x", "conv"], ["convolved"], name="conv"),
        helper.make_node("MatMul", ["convolved", "product"], ["y"], name="product"),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [value("x", TensorProto.FLOAT, [1, 3, 5])],
        [value("y", TensorProto.FLOAT, [1, 4, 2])],
        [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in weights.items()],
    )
    path = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    source, backend = SourceModel(path=path, format="onnx"), OpenVinoBackend()
    found = {p: {name for g in backend.layers(source, p) for name in g.layers} for p in Precision}
    assert found[Precision.INT8_DYNAMIC] == {"product"}
    assert found[Precision.INT8] == found[Precision.INT8_WEIGHT] == {"conv", "product"}
    assert found[Precision.BF16] == set()
