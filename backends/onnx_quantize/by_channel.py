"""Weights of dynamic 8-bit products with a scale for each output channel, where the quantizer gave all one.

The integer kernels take one zero point for all channels, but the scale is only multiplied after them: there a
tensor with a scale for each channel does what a single number did. With unsigned codes around 128 the zero
point is the same for every channel. One scale for channels of very unequal size leaves nothing of the small.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, numpy_helper

from ..contract.backend import Array

_KERNELS = ("ConvInteger", "MatMulInteger")
_ZERO, _LEVELS = 128, 127


def by_channel(made: onnx.ModelProto, source: onnx.ModelProto) -> onnx.ModelProto:
    """`made` by onnxruntime's dynamic quantizer with unsigned weights out of `source`. Changes `made`."""
    floats = {t.name: t for t in source.graph.initializer if t.data_type == TensorProto.FLOAT}
    stored = {tensor.name: tensor for tensor in made.graph.initializer}
    for node, name in _weights(made.graph):
        tensors = [stored.get(f"{name}_{part}") for part in ("quantized", "scale", "zero_point")]
        codes, scale, zero = tensors
        if name not in floats or codes is None or scale is None or zero is None or scale.dims:
            continue
        weight = numpy_helper.to_array(floats[name])
        if zero.data_type != TensorProto.UINT8 or list(codes.dims) != list(weight.shape):
            continue
        steps = _steps(weight, node.op_type == "ConvInteger")
        numbers = np.clip(np.rint(weight / steps) + _ZERO, 0, 255).astype(np.uint8)
        _put(codes, numbers)
        _put(scale, _broadcast(steps, node.op_type == "ConvInteger"))
        _put(zero, np.array(_ZERO, np.uint8))
    return made


def _weights(graph: onnx.GraphProto) -> Iterator[tuple[NodeProto, str]]:
    """Nodes of the kernels with the name of their float weight, unless another kind of node reads it too."""
    readers: dict[str, set[str]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, set()).add(node.op_type)
    for node in graph.node:
        if node.op_type in _KERNELS and readers[node.input[1]] == {node.op_type}:
            yield node, node.input[1].removesuffix("_quantized")


def _steps(weight: Array, convolves: bool) -> Array:
    """The scale of each output channel, in a shape that fits the weight; 1 for a channel of zeros."""
    outputs = 0 if convolves else weight.ndim - 1
    others = tuple(axis for axis in range(weight.ndim) if axis != outputs)
    largest = np.abs(weight).max(axis=others, keepdims=True)
    steps: Array = np.where(largest > 0, largest / np.float32(_LEVELS), np.float32(1))
    return steps


def _broadcast(steps: Array, convolves: bool) -> Array:
    """In the shape that fits what the kernel gives: channels on axis 1 of a convolution, on the last of a
    product."""
    return steps.reshape(-1, *[1] * (steps.ndim - 2)) if convolves else steps.reshape(-1)


def _put(tensor: TensorProto, values: Array) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(values), tensor.name))
