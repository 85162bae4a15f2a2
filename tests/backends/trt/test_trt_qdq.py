"""Explicit quantization: the rules, both flavours, and what they compute under ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.contract.backend import CompileSettings
from paretune.backends.onnx_graph.layers import name_nodes
from paretune.backends.trt.cast import at_opset, opset_of, to_bfloat16, to_float16
from paretune.backends.trt.graphs import blueprint_for, edge_dtypes, weight_bytes
from paretune.backends.trt.qdq import find_sites, insert_pairs, weight_axis
from paretune.backends.trt.ranges import activation_ranges
from paretune.profiles.errors import UnsupportedError
from paretune.profiles.precision import Precision
from trt.qdq_rules import check_qdq
from trt.trt_models import NETS
from trt.trt_qdq_cases import CASES, qdq_conv

pytestmark = pytest.mark.slow


def run(model, feed):
    """Run the graph as it stands: fusions would hide what TensorRT is given."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feed)[0]


def quantized(sample, *, weak, precision=Precision.INT8, **settings):
    chosen = CompileSettings(precision=precision, batch=4, **settings)
    source = onnx.load(sample.path)
    newest = 17 if weak else 24
    return blueprint_for(source, chosen, sample.data, weakly_typed=weak, newest_opset=newest).graph()


def test_a_correct_graph_has_no_complaints():
    assert check_qdq(qdq_conv()) == ()
    per_channel = qdq_conv(weight_scale=np.full(8, 0.01), weight_zero=np.zeros(8), axis=0)
    assert check_qdq(per_channel) == ()


@pytest.mark.parametrize("name", CASES)
def test_every_broken_rule_is_named_with_its_node(name):
    case = CASES[name]
    found = check_qdq(qdq_conv(**case.change))
    assert any(case.rule in problem for problem in found), found
    assert all(problem.split(":")[0] in {"q", "dq", "qw", "dqw", "dqb", "conv"} for problem in found)


def test_scalars_and_int4_activations_are_refused():
    constants = [
        numpy_helper.from_array(np.float32(0.1), "s"),
        helper.make_tensor("z", TensorProto.INT4, [], [0]),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"], name="q"),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"], name="dq"),
    ]
    edges = [helper.make_tensor_value_info(name, TensorProto.FLOAT, []) for name in "xy"]
    graph = helper.make_graph(nodes, "g", edges[:1], edges[1:], constants)
    found = " ".join(check_qdq(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])))
    assert "must have at least one axis; found a scalar" in found
    assert "int4 is for constant weights alone" in found


def test_residual_additions_need_pairs_on_both_sides(samples):
    model = quantized(samples["residual"], weak=True)
    add = next(node for node in model.graph.node if node.op_type == "Add")
    makers = {name: node for node in model.graph.node for name in node.output}
    assert [makers[name].op_type for name in add.input] == ["DequantizeLinear"] * 2
    pair = makers[makers[add.input[0]].input[0]]
    add.input[0] = pair.input[0]  # past the pair
    assert any("needs pairs on both inputs" in problem for problem in check_qdq(model))


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("weak", [True, False], ids=["G32", "G16"])
@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy"])
def test_both_flavours_compute_what_pytorch_does(net, weak, method, samples):
    sample = samples[net]
    model = quantized(sample, weak=weak, calibration_method=method)
    assert check_qdq(model) == ()
    onnx.checker.check_model(model, full_check=True)
    assert opset_of(model) <= 17 if weak else opset_of(model) >= 19
    wanted = sample.reference(sample.data)
    error = np.abs(run(model, sample.data) - wanted).max() / np.abs(wanted).max()
    assert 0 < error < 0.06, "no difference at all would mean that nothing was quantized"
    scales = [t for t in model.graph.initializer if t.name.endswith("_scale")]
    assert scales
    assert {t.data_type for t in scales} == {TensorProto.FLOAT if weak else TensorProto.FLOAT16}


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("weak", [True, False], ids=["G32", "G16"])
def test_fp8_computes_what_pytorch_does(net, weak, samples):
    sample = samples[net]
    chosen = CompileSettings(precision=Precision.FP8, batch=4)
    blueprint = blueprint_for(onnx.load(sample.path), chosen, sample.data, weakly_typed=weak, newest_opset=20)
    model = blueprint.graph()
    assert check_qdq(model) == ()
    wanted = sample.reference(sample.data)
    assert 0 < np.abs(run(model, sample.data) - wanted).max() < 0.12 * np.abs(wanted).max()


@pytest.mark.parametrize("net", NETS)
def test_float16_graph_computes_what_pytorch_does(net, samples):
    sample = samples[net]
    model = to_float16(onnx.load(sample.path))
    assert edge_dtypes(model) == edge_dtypes(onnx.load(sample.path))
    wanted = sample.reference(sample.data)
    assert 0 < np.abs(run(model, sample.data) - wanted).max() < 0.01 * np.abs(wanted).max()


@pytest.mark.parametrize("net", NETS)
def test_bfloat16_graph_keeps_edges_and_rounds_weights(net, samples):
    source = onnx.load(samples[net].path)
    model = to_bfloat16(source)
    assert edge_dtypes(model) == edge_dtypes(source)
    rounded = {t.name: t for t in model.graph.initializer}
    for tensor in source.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        assert rounded[tensor.name].data_type == TensorProto.BFLOAT16
        before = numpy_helper.to_array(tensor)
        after = numpy_helper.to_array(rounded[tensor.name]).astype(np.float32)
        assert np.abs(before - after).max() <= 2**-8 * np.abs(before).max()


def test_bfloat16_rounds_constants_of_every_form():
    nodes = [
        helper.make_node("Constant", [], ["one"], value_float=1.0),
        helper.make_node("Constant", [], ["two"], value_floats=[2.0, 2.0, 2.0, 2.0]),
        helper.make_node("Constant", [], ["size"], value_ints=[4]),
        helper.make_node("ConstantOfShape", ["size"], ["none"]),
        helper.make_node("Sum", ["x", "one", "two", "none"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["y"], to=TensorProto.FLOAT),
    ]
    edges = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", edges[:1], edges[1:])
    model = to_bfloat16(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    onnx.checker.check_model(model, full_check=True)  # one type throughout, or inference complains
    kinds = {
        v.name: v.type.tensor_type.elem_type
        for v in onnx.shape_inference.infer_shapes(model).graph.value_info
    }
    assert {kinds[name] for name in ("one", "two", "none", "sum")} == {TensorProto.BFLOAT16}


def test_bfloat16_refuses_branches():
    then = helper.make_graph([], "then", [], [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])])
    node = helper.make_node("If", ["c"], ["y"], name="if", then_branch=then, else_branch=then)
    edges = [
        helper.make_tensor_value_info("c", TensorProto.BOOL, [1]),
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [1]),
    ]
    model = helper.make_model(helper.make_graph([node], "g", edges[:2], edges[2:]))
    with pytest.raises(UnsupportedError, match="without branches; found If 'if'"):
        to_bfloat16(model)


def test_scales_run_along_output_channels(samples):
    model = quantized(samples["residual"], weak=True)
    pairs = {n.input[0]: n for n in model.graph.node if n.op_type == "QuantizeLinear"}
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    weights = [name for name in pairs if name in constants and constants[name].ndim == 4]
    assert len(weights) == 5
    for name in weights:
        scale = constants[pairs[name].input[1]]
        wanted = np.abs(constants[name]).max(axis=(1, 2, 3)) / 127
        np.testing.assert_allclose(scale, np.maximum(wanted, 2.0**-20), rtol=1e-6)


def test_one_scale_per_tensor_when_asked(samples):
    model = quantized(samples["cnn"], weak=True, per_channel=False)
    assert all(not t.dims for t in model.graph.initializer if t.name.endswith("_scale"))


def test_channels_of_zeros_and_grouped_transposed_convolutions():
    weight = np.ones((4, 2, 3, 3), dtype=np.float32)
    weight[:, 1] = 0
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"])
    grouped = helper.make_node("ConvTranspose", ["x", "w"], ["y"], group=2)
    assert (weight_axis(node, 4), weight_axis(grouped, 4)) == (1, None)
    edges = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 4, 5, 5]) for n in "x"]
    out = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    graph = helper.make_graph([node], "g", edges, out, [numpy_helper.from_array(weight, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    name_nodes(model)
    sites = find_sites(model, per_channel=True)
    paired = insert_pairs(model, sites, {"x": 0.0}, Precision.INT8)
    assert check_qdq(paired) == ()
    scales = {t.name: numpy_helper.to_array(t) for t in paired.graph.initializer if t.name.endswith("_scale")}
    np.testing.assert_allclose(scales["w_axis1_scale"], [1 / 127, 1.0])
    assert scales["x_scale"] == 1.0


def test_stored_bytes_count_what_weights_become(samples):
    float_bytes = weight_bytes(onnx.load(samples["mlp"].path))["float32"]
    stored = weight_bytes(quantized(samples["mlp"], weak=False))
    assert stored["int8"] == 64 * 96 + 96 * 64 + 64 * 10
    assert sum(stored.values()) < 0.3 * float_bytes


def test_a_quantized_source_and_a_source_without_weights_are_refused(samples):
    chosen = CompileSettings(precision=Precision.INT8)
    with pytest.raises(UnsupportedError, match="quantized already"):
        blueprint_for(qdq_conv(), chosen, samples["cnn"].data, weakly_typed=True, newest_opset=17)
    edges = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", edges[:1], edges[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(UnsupportedError, match="int8 would change nothing"):
        blueprint_for(model, chosen, {"x": np.ones((1, 4), np.float32)}, weakly_typed=True, newest_opset=17)


@pytest.mark.parametrize(
    ("data", "method", "problem"),
    [
        ({}, "minmax", "is empty"),
        ({"features": np.zeros((0, 64), np.float32)}, "minmax", "is empty"),
        ({"features": np.full((4, 64), np.nan, np.float32)}, "minmax", "not finite in 'features'"),
        ({"features": np.ones((4, 64), np.float32)}, "best", "'best' is none of minmax, percentile, entropy"),
    ],
)
def test_bad_calibration_is_refused(data, method, problem, samples):
    model = onnx.load(samples["mlp"].path)
    with pytest.raises(ValueError, match=problem):
        activation_ranges(model, ["features"], data, method, 4)


def test_minmax_is_the_largest_magnitude(samples):
    model = onnx.load(samples["mlp"].path)
    data = samples["mlp"].data
    inner = model.graph.node[0].output[0]
    found = activation_ranges(model, ["features", inner], data, "minmax", 7)
    assert found["features"] == np.abs(data["features"]).max()
    whole = onnx.load(samples["mlp"].path)
    del whole.graph.output[:]
    whole.graph.output.append(onnx.ValueInfoProto(name=inner))
    np.testing.assert_allclose(found[inner], np.abs(run(whole, data)).max(), rtol=1e-5)


@pytest.mark.parametrize("net", [*NETS, "odd"])
def test_older_operator_sets_compute_the_same(net, samples):
    sample = samples[net]
    model = at_opset(onnx.load(sample.path), 13, 17)
    assert opset_of(model) == 17
    onnx.checker.check_model(model, full_check=True)
    np.testing.assert_allclose(run(model, sample.data), sample.reference(sample.data), atol=1e-5)


def test_operators_that_did_not_exist_are_named():
    edges = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    node = helper.make_node("Gelu", ["x"], ["y"], name="gelu")
    graph = helper.make_graph([node], "g", edges[:1], edges[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    with pytest.raises(
        UnsupportedError, match=r"up to 17, and Gelu 'gelu' does not exist there.*with opset 17"
    ):
        at_opset(model, 13, 17)
    assert opset_of(at_opset(model, 13, 24)) == 20
