"""What a model in an ONNX file costs: its layers as runtimes run them, with what these fuse left out.

Activations, norms and biases are taken into the product or convolution that they follow; views of a tensor,
and what depends on constants alone, cost nothing. A loop's body counts once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import onnx

from ...profiles.precision import Precision
from ..onnx_graph.inspect import fix_batch, own_batch, sorted_nodes
from ..onnx_graph.subgraphs import all_graphs, inner_graphs, names_read
from .costs import Kernel, LayerCost, ModelCost
from .operators import WEIGHTS, kernel_of, multiply_adds, steps
from .shapes import Values

_VIEWS = {
    "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Shape", "Size", "Constant",
    "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear",
}  # fmt: skip
_FUSED_ALWAYS = {"BatchNormalization", "Relu", "Clip", "LeakyRelu", "PRelu"}
_FUSED_BIAS = {"Add", "Mul"}  # with a constant


def cost_of(
    model: onnx.ModelProto | Path, precision: Precision = Precision.FP32, batch: int | None = None
) -> ModelCost:
    """The cost of a float model at a precision and batch (None: the model's own, 1 where that is open).

    A model that was handed in quantized is counted as it is with `Precision.GIVEN`.

    Raises:
        UnsupportedError: the batch is another one, or an input has an axis without a size.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(onnx.load(model, load_external_data=False) if isinstance(model, Path) else model)
    fix_batch(proto, own_batch(proto) if batch is None else batch)
    values = Values(proto)
    layers = tuple(layer for graph in all_graphs(values.graph) for layer in _layers(graph, values, precision))
    return ModelCost(layers=layers, peak_elements=_peak(values))


def _layers(graph: onnx.GraphProto, values: Values, precision: Precision) -> Iterator[LayerCost]:
    readers = Counter(name for node in graph.node for name in names_read(node))
    open_ends: set[str] = set()  # outputs of products into which what reads them alone is fused
    for node in graph.node:
        if set(node.output) <= values.constant or _holds_graphs(node):
            continue
        moving = list(values.moving(node))
        follows = len(moving) == 1 and moving[0] in open_ends and readers[moving[0]] == 1
        if node.op_type in _VIEWS or (follows and _fuses(node)):
            open_ends.update(node.output if follows else ())
            continue
        layer = _layer(node, values, precision)
        if layer.kernel.multiplies:
            open_ends.update(node.output)
        yield layer


def _holds_graphs(node: onnx.NodeProto) -> bool:
    """Whether a node only holds graphs, whose own nodes count."""
    return any(True for _ in inner_graphs(node))


def _fuses(node: onnx.NodeProto) -> bool:
    return node.op_type in _FUSED_ALWAYS or node.op_type in _FUSED_BIAS


def _layer(node: onnx.NodeProto, values: Values, precision: Precision) -> LayerCost:
    kernel = kernel_of(node, values)
    held = {name for name in node.input if name in values.constant}
    return LayerCost(
        kernel=kernel,
        op=node.op_type,
        macs=multiply_adds(node, values),
        weights=sum(values.elements(name) for name in held),
        read=values.written(node) if kernel is Kernel.MOVE else values.read(node),
        written=values.written(node),
        precision=_as_given(node, values) if precision is Precision.GIVEN else precision,
        launches=steps(node, values),
    )


def _as_given(node: onnx.NodeProto, values: Values) -> Precision:
    """What a node of a model that came quantized multiplies with."""
    weights = [node.input[place] for place in WEIGHTS.get(node.op_type, ()) if place < len(node.input)]
    integer = any(name in values.integer for name in weights)
    if node.op_type == "MatMulNBits":
        return Precision.INT4_WEIGHT
    return Precision.INT8 if integer else Precision.FP32


def _peak(values: Values) -> float:
    """Most elements alive at one time, in the order in which the graph stands. A view shares its tensor."""
    graph = values.graph
    last: dict[str, int] = {}
    nodes = sorted_nodes(graph)
    for place, node in enumerate(nodes):
        last.update(dict.fromkeys(names_read(node), place))
    last.update({value.name: len(nodes) for value in graph.output})
    alive = {value.name: values.elements(value.name) for value in graph.input}
    alive = {name: size for name, size in alive.items() if name not in values.constant}
    most = sum(alive.values())
    for place, node in enumerate(nodes):
        view = node.op_type in _VIEWS
        made = {name: values.elements(name) for name in node.output if name not in values.constant}
        alive |= dict.fromkeys(made, 0.0) if view else made
        most = max(most, sum(alive.values()))
        for name in [name for name in alive if last.get(name, place) <= place]:
            gone = alive.pop(name)
            if view and name in node.input and node.output:
                alive[node.output[0]] = alive.get(node.output[0], 0.0) + gone
    return most
