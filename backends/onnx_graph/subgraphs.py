"""The graphs inside a graph: bodies of If, Loop and Scan, which see the names of the graph around them."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import helper


def all_graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and every graph inside its nodes."""
    yield graph
    for node in graph.node:
        for inner in inner_graphs(node):
            yield from all_graphs(inner)


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Nodes of a graph and of the graphs inside them."""
    for one in all_graphs(graph):
        yield from one.node


def inner_graphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs that a node holds."""
    for attribute in node.attribute:
        yield from [attribute.g] if attribute.HasField("g") else attribute.graphs


def names_read(node: onnx.NodeProto) -> Iterator[str]:
    """Names that a node reads from the graph around it, those of its own graphs included."""
    yield from (name for name in node.input if name)
    for graph in inner_graphs(node):
        own = {name for child in graph.node for name in child.output}
        own |= {value.name for value in (*graph.input, *graph.initializer)}
        for child in graph.node:
            yield from (name for name in names_read(child) if name not in own)
        yield from (value.name for value in graph.output if value.name not in own)


def rename_values(graph: onnx.GraphProto, names: dict[str, str]) -> None:
    """Let every node, also of inner graphs, read and make values by other names."""
    for one in all_graphs(graph):
        for node in one.node:
            node.input[:] = [names.get(name, name) for name in node.input]
            node.output[:] = [names.get(name, name) for name in node.output]
        if one is not graph:
            for value in one.output:  # a branch may give what the graph around it made
                value.name = names.get(value.name, value.name)


def inner_reads_apart(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The model, where inner graphs read what nodes around them make through a copy of its own.

    Quantizers rewire the readers of a tensor that they change, but not those inside other graphs.
    """
    made = {name for node in proto.graph.node for name in node.output}
    copies: dict[str, str] = {}
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    for node in result.graph.node:
        inside = list(names_read(node))[sum(map(bool, node.input)) :]
        names = {name: f"{name}_inside" for name in sorted(set(inside) & made)}
        copies |= names
        for graph in inner_graphs(node) if names else ():
            rename_values(graph, names)
            for value in graph.output:
                value.name = names.get(value.name, value.name)
    result.graph.node.extend(
        helper.make_node("Identity", [name], [copy], name=f"{copy}_Identity") for name, copy in copies.items()
    )
    return result if copies else proto
