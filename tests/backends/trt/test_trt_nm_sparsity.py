"""Which layers 2:4 kernels may run."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.contract.backend import CompileSettings
from paretune.backends.trt.graphs import blueprint_for
from paretune.backends.trt.nm_sparsity import check_nm_sparsity, sparsity_summary
from paretune.profiles.precision import Precision
from trt.trt_models import NETS, halve

pytestmark = pytest.mark.slow


def layer(kind, weight, *, through=(), **attributes):
    """A model with one layer; the weight passes `through` the named operators first."""
    nodes, name = [], "w"
    for step, (operator, options) in enumerate(through):
        nodes.append(helper.make_node(operator, [name], [f"w{step}"], **options))
        name = f"w{step}"
    nodes.append(helper.make_node(kind, ["x", name], ["y"], name="layer", **attributes))
    edges = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in "xy"]
    tensor = numpy_helper.from_array(np.asarray(weight, np.float32), "w")
    return helper.make_model(helper.make_graph(nodes, "g", edges[:1], edges[1:], [tensor]))


def only(model):
    (found,) = check_nm_sparsity(model)
    return found


SPARSE = np.tile(np.array([1.0, 0.0, 2.0, 0.0]), (8, 2))  # 8 outputs, 8 inputs


@pytest.mark.parametrize(
    ("kind", "weight", "attributes"),
    [
        ("MatMul", SPARSE.T, {}),
        ("Gemm", SPARSE.T, {}),
        ("Gemm", SPARSE, {"transB": 1}),
        ("Conv", SPARSE.reshape(8, 8, 1, 1), {}),
    ],
)
def test_the_axis_is_that_of_the_inputs(kind, weight, attributes):
    assert only(layer(kind, weight, **attributes)).qualifies
    turned = np.swapaxes(np.array(weight), 0, 1)
    assert "groups of four have more than two weights" in only(layer(kind, turned, **attributes)).reason


def test_transposes_casts_and_identities_are_looked_through():
    steps = [("Cast", {"to": TensorProto.FLOAT16}), ("Transpose", {"perm": [1, 0]}), ("Identity", {})]
    assert only(layer("MatMul", SPARSE, through=steps)).qualifies
    assert not only(layer("MatMul", SPARSE, through=steps[:1])).qualifies


def test_lengths_that_are_no_multiple_of_four():
    assert only(layer("MatMul", np.zeros((6, 8)))).reason == "6 inputs are not a multiple of 4"


def test_one_dense_group_is_found():
    weight = SPARSE.T.copy()
    weight[:4, 3] = 1.0
    assert only(layer("MatMul", weight)).reason == "1 of 16 groups of four have more than two weights"


def test_products_of_activations_do_not_count():
    edges = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [4, 4]) for n in "xyz"]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "y"], ["z"])], "g", edges[:2], edges[2:])
    assert check_nm_sparsity(helper.make_model(graph)) == ()


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("weak", [True, False], ids=["G32", "G16"])
def test_pruned_nets_qualify_through_their_pairs(net, weak, samples, tmp_path):
    sample = halve(samples[net], tmp_path)
    chosen = CompileSettings(precision=Precision.INT8, batch=4)
    model = blueprint_for(
        onnx.load(sample.path), chosen, sample.data, weakly_typed=weak, newest_opset=17 if weak else 24
    )
    layers = check_nm_sparsity(model.graph())
    short = {"cnn": 1, "residual": 1}.get(net, 0)  # the first convolution has 3 input channels
    assert [not layer.qualifies for layer in layers].count(True) == short
    text = sparsity_summary(layers)
    assert text.startswith(f"2:4 sparsity: {len(layers) - short} of {len(layers)} weighted layer(s) qualify")
    assert ("3 inputs are not a multiple of 4" in text) is bool(short)
