"""ONNX files as PyTorch modules: ONNX's own cases are the oracle, file by file."""

import numpy as np
import onnx
import pytest
import torch
from contracts import onnx_files as files
from contracts.onnx_files import body, model, node, value
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.loader import load_model_tests
from paretune.backends.onnx_torch.all_operators import KNOWN
from paretune.backends.onnx_torch.module import OnnxModule
from paretune.profiles.errors import UnsupportedError

X = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
# Inputs that say what an operator does; a model that can be converted knows them.
SETTINGS = (
    *(
        "axes",
        "axis",
        "cond",
        "depth",
        "ends",
        "k",
        "max",
        "min",
        "pads",
        "ratio",
        "repeats",
        "roi",
        "scales",
    ),
    *("sequence_lens", "shape", "sizes", "split", "starts", "steps", "training_mode", "trip_count", "M"),
    *("value", "values"),
)


def module_of(proto, **feed):
    return OnnxModule(proto, feed)


def outputs(proto, **feed):
    with torch.no_grad():
        return [tensor.numpy() for tensor in module_of(proto, **feed)(*map(torch.from_numpy, feed.values()))]


def standard_cases():
    """Cases of the standard for operators that something stands for, with tensors of numbers alone."""
    for case in load_model_tests(kind="node"):
        ends = [one for part in case.data_sets[0] for one in part]
        numbers = all(isinstance(end, np.ndarray | np.generic) and end.dtype.kind in "biuf" for end in ends)
        if numbers and {(n.domain, n.op_type) for n in case.model.graph.node} <= KNOWN:
            yield case


def known_and_fed(case):
    """The model with its settings as constants, and what is left to feed."""
    proto, feed = onnx.ModelProto.FromString(case.model.SerializeToString()), {}
    for end, given in zip(proto.graph.input, case.data_sets[0][0], strict=True):
        if feed and (end.name in SETTINGS or (given.dtype.kind in "biu" and given.ndim < 2)):
            proto.graph.initializer.append(numpy_helper.from_array(np.asarray(given), end.name))
        else:
            feed[end.name] = np.asarray(given)
    return proto, feed


@pytest.mark.slow
def test_every_case_of_the_standard_is_right_or_refused_by_its_operator():
    right, wrong, nameless = 0, [], []
    for case in standard_cases():
        proto, feed = known_and_fed(case)
        try:
            got = outputs(proto, **feed)
        except UnsupportedError as error:
            if not any(n.op_type in error.reason for n in proto.graph.node):
                nameless.append(case.name)
            continue
        for wanted, given in zip(case.data_sets[0][1], got, strict=True):
            close = np.shape(wanted) == given.shape and given.dtype == np.asarray(wanted).dtype
            if not close or not np.allclose(given, wanted, max(case.rtol, 1e-3), 1e-4, equal_nan=True):
                wrong.append(case.name)
        right += 1
    assert not wrong
    assert not nameless
    assert right > 400


@pytest.mark.parametrize(
    "make",
    [model, files.with_loop, files.with_branches, files.with_constants_as_inputs],
    ids=["plain", "loop", "a branch that the input decides", "constants as inputs"],
)
def test_what_a_graph_computes_is_what_its_module_computes(make):
    proto = make()
    del proto.graph.input[1:]
    (got,) = outputs(proto, x=X)
    assert np.allclose(got, files.scores(X), atol=1e-5)


def test_shapes_of_the_input_are_known_and_no_part_of_the_steps():
    nodes = [
        node("Shape", ["x"], ["s"], end=1),
        node("Concat", ["s", "rest"], ["to"], axis=0),
        node("Reshape", ["x", "to"], ["x2"]),
        *body("x2"),
    ]
    module = module_of(model(nodes, {"rest": np.array([-1])}), x=X)
    assert [step.node.operator for step in module.steps] == ["Reshape", "Linear", "Relu", "Linear"]


def test_weights_stand_in_modules_that_carry_the_names_of_their_nodes():
    nodes = [node("MatMul", ["x", "first"], ["h"], name="/9 body/a.0;b"), *body()[1:]]
    names = [name for name, _ in module_of(model(nodes), x=X).named_children()]
    assert names == ["n9_body_a_0_b", "MatMul"]


def unlike_branches():
    then = helper.make_graph([node("Relu", ["x"], ["a"])], "then", [], [value("a")])
    other = helper.make_graph([node("ReduceSum", ["x"], ["b"])], "other", [], [value("b", (1, 1))])
    nodes = [
        node("ReduceSum", ["x"], ["sum"], keepdims=0),
        node("Greater", ["sum", "zero"], ["so"]),
        node("If", ["so"], ["z"], then_branch=then, else_branch=other),
        node("MatMul", ["z", "first"], ["y"]),
    ]
    return model(nodes, {"zero": np.float32(0)})


REFUSED = {
    "NonZero": [node("NonZero", ["x"], ["i"]), node("Cast", ["i"], ["y"], to=TensorProto.FLOAT)],
    "RandomNormalLike": [node("RandomNormalLike", ["x"], ["y"])],
    "Reshape": [node("Cast", ["x"], ["i"], to=TensorProto.INT64), node("Reshape", ["x", "i"], ["y"])],
    "TopK": [node("TopK", ["x", "three"], ["y", "i"])],
    "com.microsoft.Attention": [node("Attention", ["x"], ["y"], domain="com.microsoft", num_heads=2)],
    "Mystery": [node("Mystery", ["x"], ["y"], domain="mine")],
}


@pytest.mark.parametrize("operator", REFUSED)
def test_what_has_no_counterpart_is_refused_by_its_name(operator):
    proto = model(REFUSED[operator], {"three": np.array([3])}, domains=[("com.microsoft", 1), ("mine", 1)])
    with pytest.raises(UnsupportedError, match=operator):
        module_of(proto, x=X)


def test_branches_of_different_shapes_are_refused_where_the_input_decides():
    with pytest.raises(UnsupportedError, match="If"):
        module_of(unlike_branches(), x=X)


def spelled_gelu(*last, one=1.0, outputs=None):
    """`x / 2 * (1 + erf(x / sqrt(2)))`, its product in one of the orders that exporters have."""
    numbers = {"root": np.float32(2**0.5), "one": np.float32(one), "half": np.float32(0.5)}
    nodes = [node("Div", ["x", "root"], ["d"]), node("Erf", ["d"], ["e"]), node("Add", ["e", "one"], ["a"])]
    return model([*nodes, *last], numbers, outputs=outputs or [value("y")])


ORDERS = {
    "x first": (node("Mul", ["x", "a"], ["m"]), node("Mul", ["m", "half"], ["y"])),
    "half first": (node("Mul", ["a", "half"], ["m"]), node("Mul", ["x", "m"], ["y"])),
    "half of x": (node("Mul", ["x", "half"], ["m"]), node("Mul", ["m", "a"], ["y"])),
}


@pytest.mark.parametrize("order", ORDERS)
def test_gelu_that_is_spelled_out_is_one_operator(order):
    proto = spelled_gelu(*ORDERS[order])
    assert [step.node.operator for step in module_of(proto, x=X).steps] == ["Gelu"]
    wanted = torch.nn.functional.gelu(torch.from_numpy(X)).numpy()
    assert np.allclose(outputs(proto, x=X)[0], wanted, atol=1e-6)


def test_what_only_looks_like_gelu_is_left():
    order = ORDERS["x first"]
    others = [
        spelled_gelu(*order, one=1.1),
        spelled_gelu(*order, outputs=[value("y"), value("a")]),
        spelled_gelu(order[0], node("Mul", ["m", "x"], ["y"])),
        spelled_gelu(node("Mul", ["x", "a"], ["m"]), node("Add", ["m", "a"], ["y"])),
    ]
    for proto in others:
        assert "Erf" in [step.node.operator for step in module_of(proto, x=X).steps]
        for wanted, got in zip(reference(proto), outputs(proto, x=X), strict=True):
            assert np.allclose(got, wanted, atol=1e-6)


def reference(proto):
    return onnx.reference.ReferenceEvaluator(proto).run(None, {"x": X})
