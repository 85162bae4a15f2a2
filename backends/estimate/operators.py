"""What operators of ONNX do: which kind of kernel runs them, and how much they multiply."""

from __future__ import annotations

import math
from typing import Any

import onnx
from onnx import helper

from .costs import Kernel
from .shapes import Values

WEIGHTS = {
    "Conv": (1,), "ConvTranspose": (1,), "ConvInteger": (1,), "QLinearConv": (3,),
    "Gemm": (1,), "MatMul": (1, 0), "MatMulInteger": (1,), "QLinearMatMul": (3,), "MatMulNBits": (1,),
    "LSTM": (1, 2), "GRU": (1, 2), "RNN": (1, 2),
}  # fmt: skip
"""Which inputs of an operator may be weights."""
_CONVOLUTIONS = {"Conv", "ConvTranspose", "ConvInteger", "QLinearConv"}
_RECURRENT = {"LSTM", "GRU", "RNN"}
_PRODUCTS = {*WEIGHTS, "Einsum", "Attention", "MultiHeadAttention"} - _CONVOLUTIONS
_POOLS = {"MaxPool", "AveragePool", "LpPool", "GlobalAveragePool", "GlobalMaxPool"}
_NORMS = {
    "Softmax", "LogSoftmax", "LayerNormalization", "InstanceNormalization", "GroupNormalization",
    "RMSNormalization", "LpNormalization", "LRN", "TopK", "ArgMax", "ArgMin", "CumSum", "NonMaxSuppression",
}  # fmt: skip
_MOVES = {
    "Transpose", "Concat", "Split", "Slice", "Gather", "GatherND", "GatherElements", "ScatterND",
    "ScatterElements", "Pad", "Expand", "Tile", "Resize", "Upsample", "DepthToSpace", "SpaceToDepth", "Cast",
}  # fmt: skip


def kernel_of(node: onnx.NodeProto, values: Values) -> Kernel:
    """The kind of kernel that runs a node."""
    op = node.op_type
    if op in _CONVOLUTIONS:
        return _convolution(node, values)
    if op in _PRODUCTS:
        return Kernel.PRODUCT
    if op in _POOLS:
        return Kernel.POOL
    if op in _NORMS or op.startswith("Reduce"):
        return Kernel.NORM
    return Kernel.MOVE if op in _MOVES else Kernel.ELEMENTWISE


def _convolution(node: onnx.NodeProto, values: Values) -> Kernel:
    shape = values.shapes.get(node.input[WEIGHTS[node.op_type][0]], ())
    groups = int(_attribute(node, "group", 1))
    of_a_group = (
        shape[1:2] if node.op_type != "ConvTranspose" else tuple(size // groups for size in shape[:1])
    )
    if groups > 1 and of_a_group == (1,):
        return Kernel.DEPTHWISE
    return Kernel.POINTWISE if math.prod(shape[2:]) == 1 else Kernel.CONVOLUTION


def multiply_adds(node: onnx.NodeProto, values: Values) -> float:
    """Multiply-adds of a node; 0 for one that does not mix what it reads, or whose shapes are not known."""
    op = node.op_type
    if op in _CONVOLUTIONS:
        return _of_convolution(node, values)
    if op in _RECURRENT:
        batch_and_time = math.prod(values.shapes.get(node.input[0], (0,))[:2])
        return batch_and_time * sum(values.elements(node.input[place]) for place in WEIGHTS[op])
    if op == "Einsum":
        return _of_einsum(node, values)
    if op == "MatMulNBits":
        return values.elements(node.input[0]) * float(_attribute(node, "N", 0))
    if op in _PRODUCTS and node.input:
        return _of_product(node, values)
    return 0.0


def _of_convolution(node: onnx.NodeProto, values: Values) -> float:
    shape = values.shapes.get(node.input[WEIGHTS[node.op_type][0]], ())
    if len(shape) < 3:
        return 0.0
    of_one = math.prod(shape[1:])
    transposed = node.op_type == "ConvTranspose"
    return of_one * (values.elements(node.input[0]) if transposed else values.elements(node.output[0]))


def _of_product(node: onnx.NodeProto, values: Values) -> float:
    shape = values.shapes.get(node.input[0], ())
    if not shape:
        return 0.0
    turned = node.op_type == "Gemm" and _attribute(node, "transA", 0)
    return values.written(node) * shape[0 if turned else -1]


def _of_einsum(node: onnx.NodeProto, values: Values) -> float:
    equation = _attribute(node, "equation", b"").decode().replace(" ", "")
    sizes: dict[str, int] = {}
    for labels, name in zip(equation.split("->")[0].split(","), node.input, strict=False):
        sizes |= dict(zip(labels, values.shapes.get(name, ()), strict=False))
    return float(math.prod(sizes.values())) if sizes and len(node.input) > 1 else 0.0


def steps(node: onnx.NodeProto, values: Values) -> float:
    """How many kernels a node starts: a recurrent layer one for each step in time."""
    if node.op_type not in _RECURRENT:
        return 1.0
    return float(max(1, values.shapes.get(node.input[0], (1,))[0]))


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    found = next((one for one in node.attribute if one.name == name), None)
    return default if found is None else helper.get_attribute_value(found)
