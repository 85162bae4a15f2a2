"""4-bit weights that come from quantization-aware training keep the grid that they were trained on.

Such weights are `q * absmax / 7` with whole numbers q from -7 to 7 and one absmax for each output channel.
ONNX Runtime's quantizer takes a scale from each block of 32 weights, which is another grid wherever the
block's own largest weight is smaller. Here every block of a channel gets the channel's scale instead.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..contract.backend import Array

_LARGEST = 7
# Distance from a whole number, in steps, that float32 arithmetic on the way here can explain.
_ROUNDING = 1e-3


def channel_codes(weight: Array, axis: int) -> tuple[Array, Array] | None:
    """Codes (int8, shape of `weight`) and scales (one for each slice along `axis`) of weights on such a grid.

    None for weights that lie on no grid. Slices of zeros have scale 1.
    """
    others = tuple(one for one in range(weight.ndim) if one != axis)
    largest = np.abs(weight).max(axis=others, keepdims=True)
    scale = np.where(largest > 0, largest / np.float32(_LARGEST), np.float32(1)).astype(np.float32)
    steps = weight / scale
    codes = np.rint(steps)
    if not np.isfinite(steps).all() or np.abs(steps - codes).max(initial=0.0) > _ROUNDING:
        return None
    return codes.astype(np.int8), scale.reshape(-1)


def keep_grid(proto: onnx.ModelProto, weights: Mapping[str, Array]) -> onnx.ModelProto:
    """Store weights anew that lie on a grid. Changes and returns `proto`, which the quantizer made.

    `weights` are the float constants before quantization: [inputs, outputs] of MatMul, where a channel is a
    column, and [words, width] of Gather, where it is a row.
    """
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type == "MatMulNBits":
            codes, scales, axis = node.input[1], node.input[2], 1
        elif node.op_type == "GatherBlockQuantized":
            codes, scales, axis = node.input[0], node.input[2], 0
        else:
            continue
        weight = weights[codes.removesuffix("_Q4")]
        found = channel_codes(weight.reshape(weight.shape[-2:]), axis) if weight.ndim >= 2 else None
        if found is None or stored[scales].dims[0] != len(found[1]):
            continue
        _put(stored[scales], np.repeat(found[1][:, None], stored[scales].dims[1], axis=1))
        if node.op_type == "MatMulNBits":
            _put(stored[codes], _packed(found[0], tuple(stored[codes].dims)))
        else:
            fresh = helper.make_tensor(codes, TensorProto.INT4, weight.shape, found[0].ravel().tolist())
            stored[codes].CopyFrom(fresh)
    return proto


def _put(tensor: TensorProto, array: Array) -> None:
    """Other values of the same type and shape."""
    fresh = numpy_helper.from_array(np.ascontiguousarray(array), tensor.name)
    if (fresh.data_type, list(fresh.dims)) != (tensor.data_type, list(tensor.dims)):
        raise ValueError(f"{tensor.name} is {list(tensor.dims)}, got {list(fresh.dims)}")
    tensor.CopyFrom(fresh)


def _packed(codes: Array, shape: tuple[int, ...]) -> Array:
    """Codes [inputs, outputs] as MatMulNBits takes them: uint8 [outputs, blocks, block / 2], 8 as zero."""
    outputs, blocks, half = shape
    filled = np.zeros((outputs, blocks * half * 2), np.int8)
    filled[:, : len(codes)] = codes.T
    pairs = (filled + 8).astype(np.uint8).reshape(outputs, blocks, half, 2)
    return pairs[..., 0] | pairs[..., 1] << 4
