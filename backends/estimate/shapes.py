"""Sizes of all values of an ONNX graph, as far as they can be known without running it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import onnx
from onnx import TensorProto, shape_inference

from ..onnx_graph.subgraphs import all_graphs

Shape = tuple[int, ...]
_NARROW = (TensorProto.INT8, TensorProto.UINT8, TensorProto.INT4, TensorProto.UINT4)


class Values:
    """Shapes by name; `constant` names what does not depend on any input, `integer` what of that is stored in
    8 bits or less."""

    def __init__(self, proto: onnx.ModelProto) -> None:
        inferred = shape_inference.infer_shapes(proto, data_prop=True)
        self.graph = inferred.graph
        self.shapes: dict[str, Shape] = {}
        self.constant: set[str] = set()
        self.integer: set[str] = set()
        for graph in all_graphs(inferred.graph):
            for tensor in graph.initializer:
                self.shapes[tensor.name] = tuple(tensor.dims)
                self.constant.add(tensor.name)
                if tensor.data_type in _NARROW:
                    self.integer.add(tensor.name)
            for value in (*graph.input, *graph.value_info, *graph.output):
                shape = _whole(value)
                if shape is not None:
                    self.shapes.setdefault(value.name, shape)
            self._find_constants(graph)

    def _find_constants(self, graph: onnx.GraphProto) -> None:
        for node in graph.node:
            if node.op_type in ("Constant", "Shape", "Size") or (
                node.input and all(name in self.constant for name in node.input if name)
            ):
                self.constant.update(node.output)
                if node.input and node.input[0] in self.integer and node.op_type == "DequantizeLinear":
                    self.integer.update(node.output)

    def moving(self, node: onnx.NodeProto) -> Iterator[str]:
        """Inputs of a node that are no constants."""
        yield from (name for name in node.input if name and name not in self.constant)

    def elements(self, name: str) -> float:
        """How many numbers a value holds; 0 where that is not known."""
        shape = self.shapes.get(name)
        return 0.0 if shape is None else float(math.prod(shape))

    def written(self, node: onnx.NodeProto) -> float:
        """Elements that a node gives; where that is not known, as many as the largest of its inputs has."""
        known = [self.shapes.get(name) for name in node.output if name]
        if known and all(shape is not None for shape in known):
            return sum(self.elements(name) for name in node.output if name)
        return max((self.elements(name) for name in self.moving(node)), default=0.0)

    def read(self, node: onnx.NodeProto) -> float:
        """Elements of activations that a node takes."""
        return sum(self.elements(name) for name in self.moving(node))


def _whole(value: onnx.ValueInfoProto) -> Shape | None:
    if not value.type.HasField("tensor_type") or not value.type.tensor_type.HasField("shape"):
        return None
    dims = value.type.tensor_type.shape.dim
    sizes = tuple(int(dim.dim_value) for dim in dims)
    known = all(dim.HasField("dim_value") for dim in dims)
    return sizes if known else None
