"""Layers of an ONNX graph that change precision together, and what else stays in float with them.

A layer is a constant weight of two or more axes that ONNX Runtime may quantize, with the nodes that read it.
Needs onnx and a graph that `onnx_quantize/quantize.prepared` gave.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

import onnx
from onnx import NodeProto, TensorProto, helper

from ...profiles.precision import Precision
from ...profiles.words import listed
from ..contract.backend import LayerGroup

# Which inputs of an operator are weights.
_WEIGHT_INPUTS = {
    "Conv": (1,), "ConvTranspose": (1,), "Gemm": (1,), "MatMul": (0, 1), "Gather": (0,),
    "LSTM": (1, 2), "GRU": (1, 2), "RNN": (1, 2),
}  # fmt: skip
# Operators whose weights each precision changes: those with mixed precision.
MIXED = {
    Precision.INT8: ("Conv", "ConvTranspose", "Gemm", "MatMul", "Gather"),
    Precision.INT8_DYNAMIC: ("Conv", "Gemm", "MatMul", "Gather", "LSTM"),
    Precision.INT8_WEIGHT: tuple(_WEIGHT_INPUTS),
    Precision.INT4_WEIGHT: ("Gemm", "MatMul", "Gather"),
}
_PRODUCTS = ("Gemm", "MatMul")
_CONVOLUTIONS = ("Conv", "ConvTranspose")
_VIEWS = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Identity")
_MADE_BY_EXPORTER = re.compile(r"^(onnx::\w+|_?(val|t|permute|transpose|mm)_?\d*|\d+)$")
_PARAMETER = re.compile(r"[._](weight|bias)$")
_RECURRENT = ("LSTM", "GRU", "RNN")
_FUSION = re.compile(r"^(?:\w+Fusion_W_)+|(?:/\w+Fusion\w*)+$")


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One weight: the initializer's name, the names of the nodes that read it, and its number of elements.

    `reached_by` are the precisions at which it is changed, as `find_layers` gives it by ONNX Runtime's
    quantizers.
    """

    name: str
    weight: str
    nodes: tuple[str, ...]
    weights: int
    reached_by: tuple[Precision, ...]


class Graph:
    """A graph with lookups: who makes a tensor, who reads it, which weights are constant."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        self.nodes: list[NodeProto] = list(proto.graph.node)
        self.maker = {name: node for node in self.nodes for name in node.output if name}
        self.readers: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        self.constant = {tensor.name: tensor for tensor in proto.graph.initializer}

    def weights(self, node: NodeProto) -> list[str]:
        """Constant float inputs of a node that are weights."""
        places = [place for place in _WEIGHT_INPUTS.get(node.op_type, ()) if place < len(node.input)]
        found = [self.constant.get(node.input[place]) for place in places]
        return [
            t.name for t in found if t is not None and t.data_type == TensorProto.FLOAT and len(t.dims) > 1
        ]

    def before(self, node: NodeProto) -> Iterator[NodeProto]:
        """Nodes that make what this one reads."""
        yield from (self.maker[name] for name in node.input if name in self.maker)

    def after(self, node: NodeProto) -> Iterator[NodeProto]:
        """Nodes that read what this one makes."""
        for name in node.output:
            yield from self.readers.get(name, ())


def find_layers(proto: onnx.ModelProto) -> tuple[Layer, ...]:
    """Every layer of a graph, in the order of its nodes; names are unique and the same for the same graph."""
    graph = Graph(proto)
    read_by: dict[str, list[NodeProto]] = {}
    for node in graph.nodes:
        for weight in graph.weights(node):
            read_by.setdefault(weight, []).append(node)
    wanted = {weight: _readable(graph, weight, nodes[0]) for weight, nodes in read_by.items()}
    taken = Counter(wanted.values())
    layers = []
    for weight, nodes in read_by.items():
        own = wanted[weight] if taken[wanted[weight]] == 1 else weight
        layers.append(
            Layer(
                name=own,
                weight=weight,
                nodes=tuple(node.name for node in nodes),
                weights=math.prod(graph.constant[weight].dims),
                reached_by=tuple(
                    p for p in MIXED if any(_reaches(p, n, graph.constant[weight]) for n in nodes)
                ),
            )
        )
    return tuple(layers)


def _reaches(precision: Precision, node: NodeProto, weight: TensorProto) -> bool:
    """Whether the quantizer for a precision takes this weight of this node."""
    if node.op_type not in MIXED[precision]:
        return False
    if precision in (Precision.INT8, Precision.INT8_WEIGHT):
        return True
    if node.op_type == "Gemm":
        return is_plain_gemm(node)
    if node.op_type != "MatMul":
        return True
    flat = precision is not Precision.INT4_WEIGHT or math.prod(weight.dims[:-2]) == 1
    return flat and bool(node.input[1] == weight.name)


def _readable(graph: Graph, weight: str, reader: NodeProto) -> str:
    """The module's name where the exporter left it (on the weight or on the bias), else the node's."""
    for name in (weight, *_biases(graph, reader)):
        plain = _FUSION.sub("", name)
        if not _MADE_BY_EXPORTER.match(plain):
            return _PARAMETER.sub("", plain).removeprefix("model.")
    own = _FUSION.sub("", reader.name)
    if reader.op_type not in _RECURRENT:
        return own
    return f"{own}.{'recurrent' if weight == reader.input[2] else 'input'}"


def _biases(graph: Graph, reader: NodeProto) -> Iterator[str]:
    """Names of a product's bias: its own third input, or what a following addition adds."""
    added = [n for n in graph.after(reader) if n.op_type == "Add"] if reader.op_type == "MatMul" else []
    candidates = [*reader.input[2:3], *(name for node in added for name in node.input)]
    if reader.op_type in _PRODUCTS:
        yield from (name for name in candidates if name in graph.constant and len(graph.readers[name]) == 1)


def layer_groups(
    proto: onnx.ModelProto, precision: Precision, found: Iterable[Layer] | None = None
) -> tuple[LayerGroup, ...]:
    """Groups of layers that `precision` changes, in the order of the graph's nodes.

    Tied are the weights of one node, and where activations are quantized: matrix products that read the same
    input (query, key and value) and, at int8 and fp8, convolutions that are added to one another (residual
    sums). `found` are the graph's layers where another quantizer than ONNX Runtime's reaches them.
    """
    layers = [layer for layer in found or find_layers(proto) if precision in layer.reached_by]
    together = list(_ties(Graph(proto), layers, precision))
    place = {layer.name: index for index, layer in enumerate(layers)}
    groups: list[list[Layer]] = []
    for layer in layers:
        tied = {layer.weight}.union(*(tie for tie in together if layer.weight in tie))
        joined = [group for group in groups if any(member.weight in tied for member in group)]
        groups = [group for group in groups if not any(group is one for one in joined)]
        groups.append([*(member for group in joined for member in group), layer])
    return tuple(_group(group) for group in sorted(groups, key=lambda group: place[group[0].name]))


def _group(layers: list[Layer]) -> LayerGroup:
    names = tuple(layer.name for layer in layers)
    return LayerGroup(name=listed(names, 1), layers=names, weights=sum(layer.weights for layer in layers))


def _ties(graph: Graph, layers: list[Layer], precision: Precision) -> Iterator[set[str]]:
    known = {layer.weight for layer in layers}
    by_input: dict[str, set[str]] = {}
    for node in graph.nodes:
        own = set(graph.weights(node)) & known
        yield own
        if node.op_type in _PRODUCTS and precision.decoded.activation_bits < 32:
            for name in node.input:
                if own and name not in graph.constant:
                    by_input.setdefault(origin(graph, name), set()).update(own)
        if node.op_type in ("Add", "Sum") and precision in (Precision.INT8, Precision.FP8):
            yield set().union(*(_convolved(graph, name) for name in node.input)) & known
    yield from by_input.values()


def origin(graph: Graph, name: str) -> str:
    """The tensor that a tensor is another view of."""
    while name in graph.maker and graph.maker[name].op_type in _VIEWS:
        name = graph.maker[name].input[0]
    return name


def _convolved(graph: Graph, name: str) -> set[str]:
    """Weights of the convolution that makes a tensor."""
    node = graph.maker.get(origin(graph, name))
    return set(graph.weights(node)) if node is not None and node.op_type in _CONVOLUTIONS else set()


def kept_layers(layers: Iterable[Layer], keep_float: Collection[str]) -> tuple[Layer, ...]:
    """The layers with these names.

    Raises:
        ValueError: a name is that of no layer.
    """
    by_name = {layer.name: layer for layer in layers}
    if unknown := sorted(set(keep_float) - set(by_name)):
        raise ValueError(
            f"keep_float names no layers of this model: {', '.join(unknown)}; "
            f"it has {', '.join(by_name) or 'no layers with weights'}"
        )
    return tuple(layer for name, layer in by_name.items() if name in keep_float)


def nodes_to_keep(proto: onnx.ModelProto, kept: Collection[Layer], precision: Precision) -> list[str]:
    """Names of the nodes that must not be quantized so that `kept` stay in float, with what lies around them.

    An operator without weights next to a kept layer is left in float too, unless quantized layers lie on
    both sides of it: it would cost a conversion to 8 bits and back and save nothing.
    """
    if not kept:
        return []
    graph = Graph(proto)
    layers = find_layers(proto)
    low = {node for one in layers if one not in kept and precision in one.reached_by for node in one.nodes}
    kept_nodes = {node for layer in kept for node in layer.nodes}
    low -= kept_nodes
    above = _reach(graph, low, forward=True)
    below = _reach(graph, low, forward=False)
    near = _reach(graph, kept_nodes, forward=True) | _reach(graph, kept_nodes, forward=False)
    between = (above & below) | {node.name for node in graph.nodes if _fused(graph, node, low)}
    return sorted(kept_nodes | (near - between - low - kept_nodes))


def _fused(graph: Graph, node: NodeProto, low: set[str]) -> bool:
    """Whether a node is the activation that a quantized layer's kernel applies itself."""
    return node.op_type in ("Relu", "Clip") and any(maker.name in low for maker in graph.before(node))


def _reach(graph: Graph, start: Collection[str], *, forward: bool) -> set[str]:
    """Nodes without weights that lie behind (or before) `start` with no layer in between."""
    step = graph.after if forward else graph.before
    found: set[str] = set()
    waiting = [node for node in graph.nodes if node.name in start]
    while waiting:
        for node in step(waiting.pop()):
            if node.name not in found and not graph.weights(node):
                found.add(node.name)
                waiting.append(node)
    return found


def name_nodes(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Give every node a name of its own: quantizers tell nodes apart by name alone. Changes `proto`."""
    taken = Counter(node.name for node in proto.graph.node)
    for node in proto.graph.node:
        if not node.name or taken[node.name] > 1:
            node.name = f"{node.op_type}_{next(filter(None, node.output), '')}"
    return proto


def is_plain_gemm(node: NodeProto) -> bool:
    """Whether a Gemm is a matrix product and an addition: no factors, first input as it is."""
    settings = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return (
        settings.get("alpha", 1.0) == 1.0
        and settings.get("beta", 1.0) == 1.0
        and not settings.get("transA", 0)
    )
