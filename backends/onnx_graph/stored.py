"""What is read back from a compiled ONNX file: how each layer's weights are stored, and how many are zero."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import onnx
from onnx import numpy_helper

from ..contract.backend import Array
from .given import QUANTIZED
from .inspect import constants, packed_names, stored_bytes, type_name
from .layers import Layer
from .subgraphs import inner_graphs, names_read

# What the quantizers (and `gemm_as_matmul`) append to the name of a weight that they store anew.
_TURNED = ("", "_transposed", "_rows")
_ENDINGS = ("", "_quantized", "_Q4", "_bf16", "_fp16")


def stored_as(proto: onnx.ModelProto, layers: Iterable[Layer]) -> dict[str, str]:
    """Storage type of each layer's weight in the file; joined by "+" where it is stored more than once."""
    packed = packed_names(proto.graph)
    found = {}
    for layer in layers:
        copies = _copies(proto, layer).values()
        kinds = {"int4" if tensor.name in packed else type_name(tensor) for tensor in copies}
        if kinds:
            found[layer.name] = "+".join(sorted(kinds))
    return found


def _copies(proto: onnx.ModelProto, layer: Layer) -> dict[str, onnx.TensorProto]:
    """Initializers that hold the weight of a layer."""
    names = {f"{layer.weight}{turned}{ending}" for turned in _TURNED for ending in _ENDINGS}
    return {tensor.name: tensor for tensor in proto.graph.initializer if tensor.name in names}


def layer_bytes(proto: onnx.ModelProto, layers: Iterable[Layer]) -> dict[str, int]:
    """Bytes that the weights of layers take in the file by storage type; no biases, no scales."""
    packed = packed_names(proto.graph)
    total: Counter[str] = Counter()
    for layer in layers:
        for tensor in _copies(proto, layer).values():
            total["int4" if tensor.name in packed else type_name(tensor)] += stored_bytes(tensor)
    return dict(total)


def read_by(proto: onnx.ModelProto) -> dict[tuple[str, str], int]:
    """Number of weights by the operator that reads them and their storage type. Quantized ones and what
    belongs to them are left out; those of a graph inside another count for the operator that holds it."""
    outer = {tensor.name: tensor for tensor in proto.graph.initializer}
    found: Counter[tuple[str, str]] = Counter()
    for node in proto.graph.node:
        tensors = [outer.pop(name) for name in names_read(node) if name in outer]
        tensors += [tensor for graph in inner_graphs(node) for tensor in constants(graph)]
        for tensor in tensors:
            matrix = sum(size > 1 for size in tensor.dims) > 1  # no scales and biases in the shape of one
            if matrix and not QUANTIZED.match(node.op_type):
                found[node.op_type, type_name(tensor)] += math.prod(tensor.dims)
    return dict(found)


def zero_share(proto: onnx.ModelProto, layers: Iterable[Layer]) -> float | None:
    """Share of zeros among the weights of layers as they are stored; None where there are none.

    A code counts as zero where it is the tensor's zero point, which stands for exactly 0.
    """
    zeros = total = 0
    constant = {tensor.name: tensor for tensor in proto.graph.initializer}
    rows = {
        node.input[1]: int(attribute.i)
        for node in proto.graph.node
        for attribute in node.attribute
        if node.op_type == "MatMulNBits" and attribute.name == "K"
    }
    for layer in layers:
        for name, tensor in _copies(proto, layer).items():
            codes = numpy_helper.to_array(tensor)
            if name in rows:  # blocks are filled up with zeros that are no weights
                is_zero = unpacked(codes)[:, : rows[name]] == 0
            else:
                is_zero = codes == _zero(name, codes, constant)
            zeros, total = zeros + int(np.count_nonzero(is_zero)), total + is_zero.size
    return zeros / total if total else None


def unpacked(packed: Array) -> Array:
    """Codes from -8 to 7 of 4-bit weights as MatMulNBits stores them: [outputs, blocks * block size].

    `packed` is uint8 [outputs, blocks, block size / 2], the earlier weight in the lower four bits, 8 as zero.
    """
    pairs = np.stack([packed & 0xF, packed >> 4], axis=-1)
    return pairs.reshape(len(packed), -1).astype(np.int8) - 8


def _zero(name: str, codes: Array, constant: Mapping[str, onnx.TensorProto]) -> Array:
    """The zero point of a quantized tensor, in a shape that fits it."""
    point = constant.get(name.removesuffix("_quantized") + "_zero_point")
    if point is None or not name.endswith("_quantized"):
        return np.zeros((), codes.dtype)
    values = numpy_helper.to_array(point)
    if values.size == 1:
        return values.reshape(())
    axis = next(axis for axis, length in enumerate(codes.shape) if length == values.size)
    return values.reshape([-1 if one == axis else 1 for one in range(codes.ndim)])
