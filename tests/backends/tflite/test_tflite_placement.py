"""Which operators XNNPACK runs, and why not the others."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from contracts.tflite_files import dense, packed, tensor
from paretune.backends.tflite.backend import TfliteBackend
from paretune.backends.tflite.placement import ListedOperator, place

FLOAT, INT8, INT16, BOOL = (getattr(schema.TensorType, name) for name in ("FLOAT32", "INT8", "INT16", "BOOL"))


def placed(model, tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(packed(model))
    with TfliteBackend().open(path, 1, 1) as session:
        return session.placement({})


def followed_by(*operators, kind=FLOAT):
    """The dense model, and behind it operators of one input: each a name and its options."""
    model = dense(int8=kind == INT8)
    graph = model.subgraphs[0]
    for name, options in operators:
        code = schema.OperatorCodeT()
        number = getattr(schema.BuiltinOperator, name)
        code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), 1
        model.operatorCodes.append(code)
        graph.tensors.append(tensor(f"after {name}", kind, [1, 3], 0, (0.1, 5) if kind == INT8 else None))
        made = schema.OperatorT()
        made.opcodeIndex = len(model.operatorCodes) - 1
        made.inputs = np.array([graph.outputs[0]], np.int32)
        made.outputs = np.array([len(graph.tensors) - 1], np.int32)
        if options is not None:
            made.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
            made.builtinOptions = options
        graph.operators.append(made)
        graph.outputs = made.outputs
    model.signatureDefs = []
    return model


def test_operators_that_xnnpack_does_not_take_split_the_graph(tmp_path):
    """Behind one and before one there are others that it runs."""
    model = followed_by(
        ("TANH", None),
        ("SIGN", schema.SignOptionsT()),
        ("TANH", None),
        ("L2_NORMALIZATION", schema.L2NormOptionsT()),
        ("ABS", None),
    )
    found = placed(model, tmp_path)
    assert [(one.op, one.place, one.intended) for one in found.nodes] == [
        ("FULLY_CONNECTED", "XNNPACK", True),
        ("TANH", "XNNPACK", True),
        ("SIGN", "builtin kernels", False),
        ("TANH", "XNNPACK", True),
        ("L2_NORMALIZATION", "builtin kernels", False),
        ("ABS", "XNNPACK", True),
    ]
    assert (found.nodes[2].name, found.nodes[2].kernel) == ("after SIGN", "SIGN (float32)")
    assert "not among the operators" in found.nodes[2].reason
    assert found.share_of_nodes == pytest.approx(4 / 6)
    assert found.share_of_time is None  # its Python interpreter times nothing


def test_an_int8_form_that_it_does_not_have_is_named_with_its_types(tmp_path):
    """It has a softmax, in float alone."""
    options = schema.SoftmaxOptionsT()
    options.beta = 1.0
    model = followed_by(("SOFTMAX", options), kind=INT8)
    end = model.subgraphs[0].tensors[-1].quantization
    end.scale, end.zeroPoint = np.array([1 / 256], np.float32), np.array([-128], np.int64)
    found = placed(model, tmp_path)
    softmax = found.nodes[-1]
    assert (softmax.op, softmax.intended) == ("SOFTMAX", False)
    assert "int8" in softmax.reason
    assert "does not say why" in softmax.reason


def test_without_xnnpack_builtin_kernels_are_what_was_asked_for(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(packed(dense()))
    with TfliteBackend().open(path, 1, 1, {"xnnpack": "off"}) as session:
        (node,) = session.placement({}).nodes
    assert (node.place, node.intended, node.reason) == ("builtin kernels", True, "")


def tensors(**kinds):
    found = {}
    for number, (name, said) in enumerate(kinds.items()):
        found[number] = {"name": name, "dtype": said[0], "shape_signature": said[1]}
    return found


@pytest.mark.parametrize(
    ("kind", "shape", "said"),
    [
        (np.int16, [1, 3], "int16"),
        (np.float32, [1, -1], "shapes"),
        (np.int32, [1, 3], "int32"),
        (np.bool_, [1, 3], "bool"),
    ],
)
def test_reasons_are_facts(kind, shape, said):
    operator = ListedOperator(name="ADD", inputs=(0, 1), outputs=(2,))
    told = tensors(x=(kind, shape), w=(np.float32, [1, 3]), y=(kind, shape))
    (node,) = place([operator], told).nodes
    assert not node.intended
    assert said in node.reason


def test_what_a_delegate_has_is_found_from_its_outputs_to_its_inputs():
    """Two delegates, one that makes two tensors; and an operator without outputs and names."""
    chain = [ListedOperator(name="ADD", inputs=(number, 10), outputs=(number + 1,)) for number in range(5)]
    variable = ListedOperator(name="ASSIGN_VARIABLE", inputs=(9, 5), outputs=())
    delegates = [
        ListedOperator(name="DELEGATE", inputs=(0, 10), outputs=(2, 1)),
        ListedOperator(name="DELEGATE", inputs=(3, 10), outputs=(4,)),
    ]
    found = place([*chain, variable, *delegates], tensors(x=(np.float32, [1]), y=(np.float32, [1])))
    assert [one.intended for one in found.nodes] == [True, True, False, True, False, False]
    assert found.nodes[-1].name == "operator 5"
