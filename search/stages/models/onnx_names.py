"""Names in an exported ONNX graph: inputs and outputs called as asked, and nothing about this machine."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import onnx


def held_names(count: int) -> list[str]:
    """Names of inputs while exporting: values are named after operators, and an input may be called `cat`."""
    return [f"paretune_input_{number}" for number in range(count)]


def held_outputs(count: int) -> list[str]:
    """Names of outputs while exporting."""
    return ["paretune_output", *(f"paretune_output_{number}" for number in range(1, count))]


def renamed(proto: onnx.ModelProto, inputs: list[str], outputs: list[str]) -> onnx.ModelProto:
    """Inputs and outputs by their own names, and what had one of these by another."""
    graph = proto.graph
    held = [*held_names(len(inputs)), *held_outputs(len(outputs))]
    wanted = dict(zip(held, [*inputs, *outputs], strict=True))
    used = {name for node in graph.node for name in (*node.input, *node.output)}
    used |= {tensor.name for tensor in graph.initializer}
    for name in sorted(used & set(wanted.values())):
        wanted[name] = next(new for n in count() if (new := f"{name}_value_{n}") not in used)
    for node in _all_nodes(graph):
        node.input[:] = [wanted.get(name, name) for name in node.input]
        node.output[:] = [wanted.get(name, name) for name in node.output]
    for named in (*graph.input, *graph.output, *graph.value_info, *graph.initializer):
        named.name = wanted.get(named.name, named.name)
    return proto


def _all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Nodes of a graph and of the graphs inside them, which see its names."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _all_nodes(inner)


def anonymous(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what differs between two exports of one model or tells about this machine: stack traces, paths."""
    if proto.functions:
        from onnx import inliner

        proto = inliner.inline_local_functions(proto)
    proto.doc_string = ""
    del proto.metadata_props[:]
    graph = proto.graph
    parts = (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer)
    for part in parts:
        part.doc_string = ""
        del part.metadata_props[:]
    return proto
