"""What runs low is read from the runtime's own model, not from what is stored."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.contract.backend import SourceModel
from paretune.backends.openvino.backend import OpenVinoBackend
from paretune.backends.openvino.placement import MeantLow, RanNode, placed, proof, without_first
from paretune.backends.openvino.session import OpenVinoSession
from paretune.profiles.errors import UnsupportedError
from paretune.profiles.precision import Precision

BIG = MeantLow(operator="ConvolutionBackpropData", kind="int8", weights=90)
SMALL = MeantLow(operator="Convolution", kind="int8", weights=10)
MEANT = {"big": BIG, "block/small": SMALL, "between": MeantLow(operator="CumSum", kind="int8")}
node = helper.make_node
value = helper.make_tensor_value_info


def ran(name, kernel, kind="Convolution", time=0.0):
    return RanNode(name=name, kind=kind, originals=(name, f"{name}/fused"), kernel=kernel, time=time)


def saved(path, nodes, arrays, inputs, outputs, opset=17):
    constants = [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()]
    ends = [[value(n, TensorProto.FLOAT, shape) for n, shape in part.items()] for part in (inputs, outputs)]
    graph = helper.make_graph(nodes, "g", *ends, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8), path)
    return path


def quantized(path):
    """Between dequantizing and quantizing: a product with weights stored low, one with weights in float,
    and a sum along an axis, which OpenVINO has no int8 kernel for."""
    arrays = {
        "codes": np.arange(-32, 32, dtype=np.int8).reshape(8, 8),
        "scale": np.float32(0.1),
        "zero": np.uint8(128),
        "plain": np.ones((8, 8), np.float32),
        "axis": np.int64(1),
    }
    nodes = [
        node("QuantizeLinear", ["x", "scale", "zero"], ["q"]),
        node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        node("DequantizeLinear", ["codes", "scale"], ["w"]),
        node("MatMul", ["d", "w"], ["low"], name="low"),
        node("QuantizeLinear", ["low", "scale", "zero"], ["lowq"]),
        node("DequantizeLinear", ["lowq", "scale", "zero"], ["lowd"]),
        node("CumSum", ["lowd", "axis"], ["summed"], name="summed"),
        node("QuantizeLinear", ["summed", "scale", "zero"], ["sq"]),
        node("DequantizeLinear", ["sq", "scale", "zero"], ["sd"]),
        node("MatMul", ["sd", "plain"], ["kept"], name="kept"),
        node("QuantizeLinear", ["kept", "scale", "zero"], ["kq"]),
        node("DequantizeLinear", ["kq", "scale", "zero"], ["y"]),
    ]
    return saved(path, nodes, arrays, {"x": [4, 8]}, {"y": [4, 8]})


def test_what_is_meant_low_and_is_not_is_named(tmp_path):
    """A layer that was kept in float on purpose is meant so."""
    with OpenVinoSession(quantized(tmp_path / "m.onnx"), 1) as opened:
        found = opened.placement({"x": np.ones((4, 8), np.float32)})
    by_op = {one.op: one for one in found.nodes}
    assert [one.op for one in found.nodes if not one.intended] == ["CumSum"]
    assert (by_op["CumSum"].name, by_op["CumSum"].kernel) == ("summed", "ref_any_f32")
    assert {one.kernel.endswith("I8") for one in found.nodes if "low" in one.name.split("/")} == {True}
    assert found.share_of_nodes < 1


def test_what_mostly_runs_in_float_is_refused_with_its_operators():
    computed = [ran("big", "brgconv_avx512_f32"), ran("block/small", "brgconv_avx512_I8")]
    with pytest.raises(UnsupportedError, match=r"10 % .* ConvolutionBackpropData \(brgconv_avx512_f32\)"):
        proof(Precision.INT8, computed, MEANT)
    (note,) = proof(Precision.GIVEN, computed, MEANT)  # what is handed in runs as it is
    assert "1 of 2" in note


def test_what_runs_low_is_told_where_the_precision_asks_for_it():
    halves = {
        name: MeantLow(operator="Convolution", kind="bf16", weights=w) for name, w in (("a", 90), ("b", 10))
    }
    (note,) = proof(Precision.BF16, [ran("a", "brgconv_bf16"), ran("b", "brgconv_f32")], halves)
    assert "1 of 2" in note
    assert "90.0 %" in note
    assert proof(Precision.INT8_WEIGHT, [ran("big", "brgemm_avx512_f32")], MEANT) == ()
    assert proof(Precision.INT8, [], MEANT) == proof(Precision.INT8, [ran("other", "jit_I8")], MEANT) == ()


def test_nodes_that_only_move_data_are_as_they_should_be_and_a_reference_kernel_is_not():
    found = placed(
        [ran("between", "jit_f32", "Transpose"), ran("c", "ref_any_f32"), ran("s", "ref", "Select")], MEANT
    )
    assert [one.intended for one in found.nodes] == [True, False, True]


def test_the_first_run_also_prepares_and_is_not_counted():
    (found,) = without_first([ran("a", "jit", time=40.0)], [ran("a", "jit", time=100.0)], runs=4)
    assert found.time == 60.0


def test_what_it_quantizes_as_it_runs_are_matrix_products(tmp_path):
    """A convolution stays in float at int8-dynamic, so that keeping it in float means nothing."""
    nodes = [
        node("Conv", ["x", "conv"], ["convolved"], name="conv"),
        node("MatMul", ["convolved", "product"], ["y"], name="product"),
    ]
    arrays = {"conv": np.ones((4, 3, 1), np.float32), "product": np.ones((5, 2), np.float32)}
    path = saved(tmp_path / "model.onnx", nodes, arrays, {"x": [1, 3, 5]}, {"y": [1, 4, 2]})
    source, backend = SourceModel(path=path, format="onnx"), OpenVinoBackend()
    found = {p: {name for g in backend.layers(source, p) for name in g.layers} for p in Precision}
    assert found[Precision.INT8_DYNAMIC] == {"product"}
    assert found[Precision.INT8] == found[Precision.INT8_WEIGHT] == {"conv", "product"}
    assert found[Precision.BF16] == set()
