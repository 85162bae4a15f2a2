"""Models in float16, bfloat16 or float64, brought to float32, which is what "float" means everywhere else."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..contract.backend import Array
from .subgraphs import all_graphs, all_nodes, rename_values

_OTHER: dict[int, str] = {
    TensorProto.FLOAT16: "float16",
    TensorProto.BFLOAT16: "bfloat16",
    TensorProto.DOUBLE: "float64",
}
_TYPE_ATTRIBUTES = ("to", "dtype", "output_datatype")


def other_float(proto: onnx.ModelProto) -> str:
    """The type that a model's weights have in place of float32 ("float16"); empty where they have that.

    Scalars do not count, which exporters write in any type. A model without weights has the type of its
    inputs.
    """
    counts: dict[int, int] = {}
    for tensor in _tensors(proto.graph):
        if tensor.dims:
            counts[tensor.data_type] = counts.get(tensor.data_type, 0) + int(np.prod(tensor.dims))
    if TensorProto.FLOAT not in counts and not set(counts) & set(_OTHER):
        counts = {value.type.tensor_type.elem_type: 1 for value in proto.graph.input}
    found = {kind: count for kind, count in counts.items() if kind in _OTHER and count}
    return _OTHER[max(found, key=found.__getitem__)] if found else ""


def to_float32(proto: onnx.ModelProto) -> None:
    """Weights and arithmetic in float32. Inputs and outputs keep their types, but for bfloat16, which numpy
    does not have. Changes `proto`, whose constants stand in no functions of its own."""
    for tensor in _tensors(proto.graph):
        if tensor.data_type in _OTHER:
            tensor.CopyFrom(numpy_helper.from_array(_as_float32(tensor), tensor.name))
    for node in all_nodes(proto.graph):
        for attribute in node.attribute:
            if attribute.name in _TYPE_ATTRIBUTES and attribute.i in _OTHER:
                attribute.i = TensorProto.FLOAT
    for graph in all_graphs(proto.graph):
        del graph.value_info[:]
        if graph is not proto.graph:
            for value in (*graph.input, *graph.output):
                _retype(value)
    _keep_outer_types(proto.graph)


def _tensors(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    """Constants of a graph, of the graphs inside it, and of its nodes' settings."""
    for one in all_graphs(graph):
        yield from one.initializer
    for node in all_nodes(graph):
        for attribute in node.attribute:
            yield from (*attribute.tensors, *([attribute.t] if attribute.HasField("t") else []))


def _as_float32(tensor: TensorProto) -> Array:
    """Values too large for float32, which masks are made of, become its largest."""
    values = numpy_helper.to_array(tensor)
    plain = np.asarray(values, np.float64)
    largest = float(np.finfo(np.float32).max)
    clipped = np.where(np.isinf(plain), plain, np.clip(plain, -largest, largest))
    return np.asarray(clipped, np.float32)


def _retype(value: onnx.ValueInfoProto) -> None:
    if value.type.tensor_type.elem_type in _OTHER:
        value.type.tensor_type.elem_type = TensorProto.FLOAT


def _keep_outer_types(graph: onnx.GraphProto) -> None:
    """Casts behind the inputs and before the outputs of another type."""
    names: dict[str, str] = {}
    before, after = [], []
    passed_on = {value.name for value in graph.input}
    for value in graph.input:
        if _cast_needed(value):
            inner = names[value.name] = f"{value.name}_float32"
            before.append(helper.make_node("Cast", [value.name], [inner], to=TensorProto.FLOAT, name=inner))
    for value in graph.output:
        if value.name not in passed_on and (kind := _cast_needed(value)):
            inner = names[value.name] = f"{value.name}_float32"
            after.append(helper.make_node("Cast", [inner], [value.name], to=kind, name=f"{inner}_back"))
    rename_values(graph, names)
    nodes = [*before, *(onnx.NodeProto.FromString(n.SerializeToString()) for n in graph.node), *after]
    del graph.node[:]
    graph.node.extend(nodes)


def _cast_needed(value: onnx.ValueInfoProto) -> int:
    """The type to cast from or to; 0 where there is none, after bfloat16 was made float32."""
    kind = int(value.type.tensor_type.elem_type)
    if kind == TensorProto.BFLOAT16:
        _retype(value)
        return 0
    return kind if kind in _OTHER else 0
