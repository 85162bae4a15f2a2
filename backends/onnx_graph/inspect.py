"""ONNX graphs: constants by storage type, a fixed batch, one fixed order of nodes."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from pathlib import Path
from typing import Any

import onnx
from onnx import NodeProto, TensorProto, helper

from ...profiles.errors import UnsupportedError
from .subgraphs import all_graphs, all_nodes, names_read

_FOUR_BIT = (TensorProto.INT4, TensorProto.UINT4)
# Kernels of com.microsoft that keep 4-bit weights packed two by two in a uint8 tensor (input 1 or 0).
_PACKED_INPUT = {"MatMulNBits": 1, "GatherBlockQuantized": 0}


def weight_bytes(proto: onnx.ModelProto) -> dict[str, int]:
    """Bytes of constant tensors by storage type; packed 4-bit weights count as "int4"."""
    packed = packed_names(proto.graph)
    total: Counter[str] = Counter()
    for tensor in constants(proto.graph):
        four_bit = tensor.name in packed or tensor.data_type in _FOUR_BIT
        total["int4" if four_bit else type_name(tensor)] += stored_bytes(tensor)
    return dict(sorted(total.items()))


def constants(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    """All constants of a graph and of those inside it: initializers and the values of Constant nodes."""
    for one in all_graphs(graph):
        yield from one.initializer
    for node in all_nodes(graph):
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


def with_batch(path: Path, batch: int) -> onnx.ModelProto:
    """The model as it is, with its batch fixed.

    A fixed batch lets ONNX Runtime fold shape arithmetic and choose kernels.

    Raises:
        UnsupportedError: an input has another batch fixed, or an axis without a size beside the batch.
    """
    proto = onnx.load(path)
    fix_batch(proto, batch)
    return proto


def with_own_batch(path: Path) -> onnx.ModelProto:
    """The model with the batch that it has, 1 where that is open.

    Raises:
        UnsupportedError: see `with_batch`.
    """
    proto = onnx.load(path)
    fix_batch(proto, own_batch(proto))
    return proto


def fix_batch(proto: onnx.ModelProto, batch: int) -> None:
    """Put `batch` in place of the open first axis of every input, and wherever else its name stands.

    Raises:
        UnsupportedError: an input has another batch fixed, or another axis without a size.
    """
    graph = proto.graph
    constant = {tensor.name for tensor in graph.initializer}
    fed = [value for value in graph.input if value.name not in constant and _dims(value)]
    names = {_dims(value)[0].dim_param for value in fed} - {""}
    for value in fed:
        first = _dims(value)[0]
        if first.dim_value not in (0, batch):
            raise UnsupportedError(
                f"input {value.name!r} has a fixed batch of {first.dim_value}, asked for {batch}: "
                "export the model with a free batch axis, or ask for its batch under `deploy`"
            )
        first.dim_value = batch
    for value in (*fed, *graph.output):
        for dim in _dims(value):
            if dim.dim_param in names:
                dim.dim_value = batch
    for value in fed:
        for axis, dim in enumerate(_dims(value)):
            if dim.dim_value <= 0:
                raise UnsupportedError(f"axis {axis} of input {value.name!r} has no fixed size")
    # What was inferred for an open batch would contradict the fixed one.
    del graph.value_info[:]


def own_batch(proto: onnx.ModelProto) -> int:
    """The batch that the inputs have fixed; 1 where it is open."""
    return max(1, fixed_batch(proto))


def fixed_batch(proto: onnx.ModelProto) -> int:
    """The batch that the inputs have fixed; 0 where it is open."""
    constant = {tensor.name for tensor in proto.graph.initializer}
    fed = [value for value in proto.graph.input if value.name not in constant and _dims(value)]
    return max([0, *(int(_dims(value)[0].dim_value) for value in fed)])


def _dims(value: onnx.ValueInfoProto) -> Any:
    return value.type.tensor_type.shape.dim


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


def to_float16(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy with weights and arithmetic in float16, by onnxruntime; inputs and outputs keep their types."""
    from onnxruntime.transformers import float16

    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    logging.getLogger(float16.__name__).setLevel(logging.ERROR)
    return in_fixed_order(float16.convert_float_to_float16(copy, keep_io_types=True))


def sorted_nodes(graph: onnx.GraphProto) -> list[NodeProto]:
    """Nodes in topological order; among those that are ready, by the name of their first output.

    Raises:
        ValueError: two nodes make one tensor, or the graph has a cycle.
    """
    made = Counter(name for node in graph.node for name in node.output if name)
    if twice := next((name for name, count in made.items() if count > 1), None):
        raise ValueError(f"two nodes of the ONNX graph make the tensor {twice!r}")
    maker = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    needs = [{maker[name] for name in names_read(node) if name in maker} for node in graph.node]
    readers: list[list[int]] = [[] for _ in needs]
    for index, wanted in enumerate(needs):
        for made_by in wanted:
            readers[made_by].append(index)
    key = [next(filter(None, node.output), "") for node in graph.node]
    ready = [(key[index], index) for index, wanted in enumerate(needs) if not wanted]
    heapify(ready)
    order: list[NodeProto] = []
    while ready:
        _, index = heappop(ready)
        order.append(graph.node[index])
        for reader in readers[index]:
            needs[reader].discard(index)
            if not needs[reader]:
                heappush(ready, (key[reader], reader))
    if len(order) < len(graph.node):
        raise ValueError("the ONNX graph has a cycle")
    return order


def packed_names(graph: onnx.GraphProto) -> set[str]:
    """Constant tensors that hold 4-bit weights two by two."""
    return {node.input[_PACKED_INPUT[node.op_type]] for node in graph.node if node.op_type in _PACKED_INPUT}
