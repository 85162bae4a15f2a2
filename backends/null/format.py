"""The file of the `null` backend: an ONNX graph without its float weights, and these at the precision's bits.

Layout: length of the header (4 bytes, little endian), header (JSON), graph (protobuf), weights one after the
other. The header holds precision, batch and, for each weight, its name, shape, number of bytes and scales;
`kept` names the weights that stayed in float.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ...profiles.precision import Precision
from ..contract.backend import Array
from ..onnx_graph.inspect import fix_batch

_FP8_LARGEST = 448.0
_TYPE_NAMES = {
    Precision.FP32: "float32",
    Precision.FP16: "float16",
    Precision.BF16: "bfloat16",
    Precision.FP8: "float8",
    Precision.INT4_WEIGHT: "int4",
}


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """A loaded file: the graph with its weights put back, the bits they were stored in, and the precision."""

    model: onnx.ModelProto
    weight_bits: int
    precision: Precision


def matrices(source: Path) -> dict[str, int]:
    """Float weights of two or more axes by name, with their number of elements: the layers of this format."""
    return {
        tensor.name: math.prod(tensor.dims)
        for tensor in onnx.load(source).graph.initializer
        if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1
    }


def pack(
    source: Path, precision: Precision, batch: int, per_channel: bool, kept: Collection[str] = ()
) -> tuple[bytes, dict[str, int], dict[str, str]]:
    """The file's content, its weight bytes by storage type, and the storage type of each matrix.

    Weights named in `kept` stay float32.

    Raises:
        UnsupportedError: the source has another batch fixed.
    """
    proto = onnx.load(source)
    fix_batch(proto, batch)
    constant = {tensor.name for tensor in proto.graph.initializer}
    inputs = [value for value in proto.graph.input if value.name not in constant]
    copies = [onnx.ValueInfoProto.FromString(value.SerializeToString()) for value in inputs]
    del proto.graph.input[:]  # old files list constants among the inputs
    proto.graph.input.extend(copies)
    header: dict[str, Any] = {"precision": str(precision), "weights": []}
    if kept:
        header["kept"] = sorted(kept)
    blobs: list[bytes] = []
    others = []
    stored: Counter[str] = Counter()
    stored_as = {}
    for tensor in proto.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            others.append(TensorProto.FromString(tensor.SerializeToString()))
            continue
        own = Precision.FP32 if tensor.name in kept else precision
        blob, scales = _encode(numpy_helper.to_array(tensor), own, per_channel)
        header["weights"].append([tensor.name, list(tensor.dims), len(blob), scales])
        blobs.append(blob)
        kind = _TYPE_NAMES.get(own, "int8")
        stored[kind] += len(blob)
        if len(tensor.dims) > 1:
            stored_as[tensor.name] = kind
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(others)
    graph = proto.SerializeToString(deterministic=True)
    header["graph"] = len(graph)
    head = json.dumps(header, sort_keys=True).encode()
    return b"".join([len(head).to_bytes(4, "little"), head, graph, *blobs]), dict(stored), stored_as


def unpack(content: bytes) -> Unpacked:
    """The inverse of `pack`; weights come back as float32 with the rounding they went through."""
    start = 4 + int.from_bytes(content[:4], "little")
    header = json.loads(content[4:start])
    precision = Precision(header["precision"])
    end = start + header["graph"]
    model = onnx.ModelProto.FromString(content[start:end])
    bits = 0
    for name, shape, size, scales in header["weights"]:
        own = Precision.FP32 if name in header.get("kept", ()) else precision
        array = _decode(content[end : end + size], shape, scales, own)
        model.graph.initializer.append(numpy_helper.from_array(array, name))
        bits += array.size * own.decoded.weight_bits
        end += size
    return Unpacked(model=model, weight_bits=bits, precision=precision)


def _encode(array: Array, precision: Precision, per_channel: bool) -> tuple[bytes, list[float]]:
    """Bytes of a weight and its scales (one for each slice along axis 0, or one)."""
    if precision is Precision.FP32:
        return array.tobytes(), []
    if precision is Precision.FP16:
        return array.astype(np.float16).tobytes(), []
    if precision is Precision.BF16:  # the upper half of a float32, rounded to nearest
        return ((array.view(np.uint32) + 0x8000) >> 16).astype(np.uint16).tobytes(), []
    bits = precision.decoded.weight_bits
    largest = _FP8_LARGEST if precision is Precision.FP8 else 2 ** (bits - 1) - 1
    rows = array.reshape(len(array), -1) if per_channel and array.ndim > 1 else array.reshape(1, -1)
    scales = np.abs(rows).max(axis=1, initial=1e-12) / largest
    scaled = (rows / scales[:, None]).ravel()
    if precision is Precision.FP8:
        blob = scaled.astype(_fp8()).tobytes()
    else:
        blob = _packed(np.rint(scaled).astype(np.int8), bits)
    return blob, [float(scale) for scale in scales]


def _decode(blob: bytes, shape: list[int], scales: list[float], precision: Precision) -> Array:
    if precision is Precision.FP32:
        return np.frombuffer(blob, np.float32).reshape(shape)
    if precision is Precision.FP16:
        return np.frombuffer(blob, np.float16).astype(np.float32).reshape(shape)
    if precision is Precision.BF16:
        return (np.frombuffer(blob, np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(shape)
    if precision is Precision.FP8:
        codes = np.frombuffer(blob, _fp8()).astype(np.float32)
    else:
        codes = _unpacked(blob, math.prod(shape), precision.decoded.weight_bits)
    rows = codes.reshape(len(scales), -1) * np.array(scales, np.float32)[:, None]
    return rows.astype(np.float32).reshape(shape)


def _fp8() -> Any:
    """numpy's view of float8 E4M3, as onnx has it."""
    return helper.tensor_dtype_to_np_dtype(TensorProto.FLOAT8E4M3FN)


def _packed(codes: Array, bits: int) -> bytes:
    """int8 codes as bytes; two codes a byte where they have 4 bits."""
    if bits == 8:
        return codes.tobytes()
    even = np.append(codes, np.int8(0)) if len(codes) % 2 else codes
    nibbles = even.view(np.uint8) & 0xF
    return (nibbles[::2] | nibbles[1::2] << 4).astype(np.uint8).tobytes()


def _unpacked(blob: bytes, count: int, bits: int) -> Array:
    if bits == 8:
        return np.frombuffer(blob, np.int8)
    pairs = np.frombuffer(blob, np.uint8)
    nibbles = np.stack([pairs & 0xF, pairs >> 4], axis=1).ravel()[:count].astype(np.int8)
    return np.where(nibbles > 7, nibbles - 16, nibbles)
