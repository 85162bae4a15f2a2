"""What is read back from a compiled ONNX file: how each layer's weights are stored, and how many are zero."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import onnx
from onnx import numpy_helper

from ...profiles.errors import StageError
from ..contract.backend import Array
from .inspect import packed_names, stored_bytes, type_name
from .layers import Layer

# What the quantizers (and `gemm_as_matmul`) append to the name of a weight that they store anew.
_TURNED = ("", "_transposed")
_ENDINGS = ("", "_quantized", "_Q4")
_SPARSE = 0.05
_TOLERANCE = 0.01
_NAMED = 4


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


def coverage_note(stored: Mapping[str, str], layers: Iterable[Layer]) -> str:
    """In words: "int8: 6 of 7 layers, 99.2 % of the weights; float32: classifier".

    Empty where every layer is float32, or there is none.
    """
    sizes = {layer.name: layer.weights for layer in layers if layer.name in stored}
    by_kind: dict[str, list[str]] = {}
    for name, kind in stored.items():
        by_kind.setdefault(kind, []).append(name)
    if set(by_kind) <= {"float32"}:
        return ""
    parts = [
        f"{kind}: {len(names)} of {len(sizes)} layers, "
        f"{100 * sum(sizes[name] for name in names) / sum(sizes.values()):.1f} % of the weights"
        for kind, names in sorted(by_kind.items())
        if kind != "float32"
    ]
    floats = [f"float32: {_listed(by_kind['float32'])}"] if "float32" in by_kind else []
    return "; ".join([*parts, *floats])


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


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


def check_zeros(source: float | None, artifact: float | None) -> None:
    """Refuse an artifact that lost the zeros of a sparse model.

    Raises:
        StageError: over 5 % of the source's weights are zero, and the artifact has a share of zeros that is
            lower by more than 1 point.
    """
    if source is None or artifact is None or source <= _SPARSE or artifact >= source - _TOLERANCE:
        return
    raise StageError(
        "compile",
        f"the artifact lost the model's zeros: {100 * source:.1f} % of the weights were zero, "
        f"{100 * artifact:.1f} % are in the artifact",
    )
