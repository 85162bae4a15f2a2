"""Lists of layers as TensorRT writes them."""

from __future__ import annotations

import json

from paretune.backends.trt.engine_layers import read_inspector, read_layer_log
from paretune.backends.trt.placement import read_placement

HALF = "Strides: [1], StrideOrder: [0], Datatype: Half, Format: (Linear) Row major linear format }"
BYTE = "Strides: [1], StrideOrder: [0], Datatype: Int8, Format: (Linear) Row major linear format }"
LOGGED = f"""Layers:
Name: shape, LayerType: shape_call, Inputs: [], Constants: [], Outputs: [], TacticName: , StreamId: 0
Name: a, LayerType: gemm, Inputs: [ {{ Name: x, Dimensions: [-1,8], {HALF}], Constants: [ {{ Name: w, \
Dimensions: [8,4], {BYTE}, {{ Name: one, Dimensions: [], {HALF}], Outputs: [ {{ Name: y, Dimensions: [-1,4], \
{BYTE}], TacticName: t, StreamId: 0, Metadata: [ONNX Layer: a]
Name: b, LayerType: gemm, Inputs: [ {{ Name: y, Dimensions: [-1,4], {BYTE}], Constants: [ {{ Name: w, \
Dimensions: [8,4], {BYTE}], Outputs: [ {{ Name: z, Dimensions: [-1,4], {HALF}], TacticName: t, StreamId: 0
"""


def test_a_logged_list_counts_layers_and_shared_weights_once():
    found = read_layer_log(LOGGED)
    assert found is not None
    assert found.summary == "the engine has 3 layer(s); outputs: 1 Half, 1 Int8"
    assert found.weight_bytes == {"int8": 32, "float16": 2}


def test_a_weight_counts_where_its_own_node_takes_it():
    found = read_layer_log(LOGGED)
    assert found.take({"a", "other"}, 32, "int8", activations=False)
    assert found.take({"a"}, 24, "int8", activations=False), "a weight may be padded"
    assert not found.take({"a"}, 33, "int8", activations=False)
    assert not found.take({"a"}, 32, "int8", activations=True), "its activations are float16"
    assert not found.take({"b"}, 32, "int8", activations=False), "that layer names no node"
    assert not found.take({"a"}, 32, "float8", activations=False)


def test_a_text_without_layers_is_none():
    assert read_layer_log("Layers:\n") is None


def test_the_inspectors_forms():
    old = {"Layers": [{"Name": "a", "Outputs": [{"Format/Datatype": "Half"}]}], "Bindings": ["x"]}
    new = {"Layers": [{"Name": "a", "Outputs": [{"Datatype": "Half"}]}, {"Name": "b"}], "I/O Tensors": []}
    assert read_inspector(json.dumps(old)).summary == "the engine has 1 layer(s); outputs: 1 Half"
    assert read_inspector(json.dumps(new)).summary == "the engine has 2 layer(s); outputs: 1 Half"
    plain = {"Layers": ["a", "b"], "Bindings": []}  # names alone: built without detailed verbosity
    assert read_inspector(json.dumps(plain)).summary == "the engine has 2 layer(s)"


def inspected(*layers):
    """What the inspector says of layers: the kind of each, the tensor that it reads and that it makes."""
    told = [
        {
            "Name": f"{kind} {made[0]}",
            "LayerType": kind,
            "Inputs": [{"Name": read[0], "Format/Datatype": read[1]}],
            "Outputs": [{"Name": made[0], "Format/Datatype": made[1]}],
            "TacticName": "sm80_kernel",
        }
        for kind, read, made in layers
    ]
    return json.dumps({"Layers": told, "Bindings": []})


INT8, FP16 = "Thirty-two wide channel vectorized row major Int8 format", "Channel major FP16 format"


def test_what_computes_in_float_between_layers_in_8_bits_is_named():
    found = read_placement(
        inspected(
            ("Reformat", ("x", "Row major linear FP32"), ("a", INT8)),
            ("CaskConvolution", ("a", INT8), ("b", FP16)),
            ("SoftMax", ("b", FP16), ("c", FP16)),
            ("Shuffle", ("c", FP16), ("d", FP16)),
            ("Reformat", ("d", FP16), ("e", INT8)),
            ("CaskConvolution", ("e", INT8), ("f", INT8)),
            ("CaskConvolution", ("f", INT8), ("y", "Float")),
            ("DLA", ("y", "Half"), ("z", "Half")),
        )
    )
    assert [(one.op, one.place) for one in found.nodes if not one.intended] == [("SoftMax", "GPU")]
    assert found.nodes[2].kernel == "sm80_kernel (float16)"
    assert found.nodes[-1].place == "DLA"
    assert found.share_of_nodes == 7 / 8


def test_an_engine_that_tells_names_alone_tells_no_placement():
    assert read_placement(json.dumps({"Layers": ["a", "b"], "Bindings": []})) is None
    assert read_placement(json.dumps({"Layers": []})) is None
