"""What an ONNX file holds: its constants by storage type, and the same graph in one fixed order."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import onnx
from onnx import NodeProto, TensorProto, helper

_FOUR_BIT = (TensorProto.INT4, TensorProto.UINT4)
# Kernels of com.microsoft that keep 4-bit weights packed two by two in a uint8 tensor (input 1 or 0).
_PACKED_INPUT = {"MatMulNBits": 1, "GatherBlockQuantized": 0}


def weight_bytes(proto: onnx.ModelProto) -> dict[str, int]:
    """Bytes of constant tensors by storage type; packed 4-bit weights count as "int4"."""
    packed = _packed_names(proto.graph)
    total: Counter[str] = Counter()
    for tensor in constants(proto.graph):
        four_bit = tensor.name in packed or tensor.data_type in _FOUR_BIT
        total["int4" if four_bit else type_name(tensor)] += stored_bytes(tensor)
    return dict(sorted(total.items()))


def constants(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    """All constant tensors of a graph: initializers and the values of Constant nodes."""
    yield from graph.initializer
    for node in graph.node:
        if node.op_type == "Constant":
            yield from (attribute.t for attribute in node.attribute if attribute.name == "value")


def type_name(tensor: TensorProto) -> str:
    """The storage type as numpy spells it ("float32", "int8")."""
    name = str(TensorProto.DataType.Name(tensor.data_type)).lower()
    return {"float": "float32", "double": "float64"}.get(name, name)


def elements(tensor: TensorProto) -> int:
    """Number of elements of a tensor."""
    return math.prod(tensor.dims)


def stored_bytes(tensor: TensorProto) -> int:
    """Bytes that a tensor takes in the file."""
    if tensor.raw_data:
        return len(tensor.raw_data)
    if tensor.data_type in _FOUR_BIT:
        return (elements(tensor) + 1) // 2
    if tensor.data_type == TensorProto.STRING:
        return sum(len(text) for text in tensor.string_data)
    return elements(tensor) * int(helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)


def in_fixed_order(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The same model with nodes in one topological order and constants by name.

    ONNX Runtime's tools walk over sets, whose order changes from process to process.
    """
    graph = proto.graph
    nodes = sorted_nodes(graph)
    initializers = sorted(graph.initializer, key=lambda tensor: tensor.name)
    values = sorted(graph.value_info, key=lambda value: value.name)
    for field, items in ((graph.node, nodes), (graph.initializer, initializers), (graph.value_info, values)):
        copies = [type(item).FromString(item.SerializeToString()) for item in items]
        del field[:]
        field.extend(copies)
    opsets = sorted((opset.domain, opset.version) for opset in proto.opset_import)
    del proto.opset_import[:]
    proto.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in opsets)
    return proto


def sorted_nodes(graph: onnx.GraphProto) -> list[NodeProto]:
    """Nodes in topological order; among those that are ready, by the name of their first output."""
    made = {name for node in graph.node for name in node.output if name}
    waiting = {node.output[0]: {n for n in _needs(node) if n in made} for node in graph.node}
    nodes = {node.output[0]: node for node in graph.node}
    order: list[NodeProto] = []
    done: set[str] = set()
    while waiting:
        ready = sorted(name for name, needs in waiting.items() if needs <= done)
        if not ready:
            raise ValueError("the ONNX graph has a cycle")
        for name in ready:
            del waiting[name]
            order.append(nodes[name])
            done.update(nodes[name].output)
    return order


def _needs(node: NodeProto) -> Iterator[str]:
    """Names that a node reads, those of its subgraphs included."""
    yield from (name for name in node.input if name)
    for attribute in node.attribute:
        for graph in [attribute.g] if attribute.HasField("g") else [*attribute.graphs]:
            inner = {name for child in graph.node for name in child.output}
            for child in graph.node:
                yield from (name for name in _needs(child) if name not in inner)


def _packed_names(graph: onnx.GraphProto) -> set[str]:
    return {node.input[_PACKED_INPUT[node.op_type]] for node in graph.node if node.op_type in _PACKED_INPUT}
