"""Where onnxruntime's static quantizer fails, or writes what no runtime takes: seen in the graph before.

Two kinds of weights cannot have a scale for each channel. A grouped ConvTranspose counts its outputs anew in
each group, so that axis 1 of its weight is not that of the outputs. An embedding whose table is also the
weight of a product (tied weights) would hand the scales of its rows on to what it looks up.
"""

from __future__ import annotations

from typing import Any

import onnx
from onnx import NodeProto, helper

from ..onnx_graph.layers import Graph

_LOOKUP = "Gather"


def one_scale(graph: Graph) -> set[str]:
    """Names of the weights that must have one scale."""
    found = set()
    for weight in graph.constant:
        readers = [node for node in graph.readers.get(weight, ()) if weight in graph.weights(node)]
        kinds = {node.op_type for node in readers}
        if (_LOOKUP in kinds and len(kinds) > 1) or any(_grouped(node) for node in readers):
            found.add(weight)
    return found


def _grouped(node: NodeProto) -> bool:
    groups = [helper.get_attribute_value(a) for a in node.attribute if a.name == "group"]
    return node.op_type == "ConvTranspose" and groups[:1] not in ([], [1])


def without_kernel(graph: Graph) -> list[str]:
    """Names of nodes that must stay in float: norms over several axes, whose scale is no vector."""
    return [
        node.name
        for node in graph.nodes
        if node.op_type == "LayerNormalization"
        and node.input[1] in graph.constant
        and len(graph.constant[node.input[1]].dims) > 1
    ]


def overrides(proto: onnx.ModelProto) -> dict[str, list[dict[str, Any]]]:
    """`TensorQuantOverrides` for the weights that must have one scale."""
    from onnxruntime.quantization import QuantType

    one = {"quant_type": QuantType.QInt8, "symmetric": True, "reduce_range": True}
    return {weight: [dict(one)] for weight in sorted(one_scale(Graph(proto)))}
