"""Weights alone made smaller: stored as int8 codes or bfloat16, which the runtime expands."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from ...profiles.errors import UnsupportedError
from ...profiles.precision import Precision
from ..contract.backend import Array
from ..onnx_graph.inspect import in_fixed_order
from ..onnx_graph.layers import find_layers
from ..onnx_graph.subgraphs import all_graphs

_LARGEST = 127
_AXIS_OPSET = 13  # from here on DequantizeLinear takes a scale for each channel


def to_int8_weight(
    proto: onnx.ModelProto, keep: Collection[str] = (), operators: Collection[str] = ()
) -> onnx.ModelProto:
    """Symmetric int8 codes with a scale for each output channel, of every weight that nodes read.

    `scale = absmax / 127` in float32, so that weights on a coarser trained grid move by at most 1/254 of the
    largest. Output channels are those of `to_int8`; rows of an embedding and gates of a recurrent layer have
    a scale each too. `keep` names nodes that stay in float; with `operators`, all others stay in float too.
    """
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    _check_opset(result)
    nodes = {node.name: node for node in result.graph.node}
    for layer in find_layers(result):
        readers = [nodes[name] for name in layer.nodes]
        meant = not operators or all(node.op_type in operators for node in readers)
        if meant and Precision.INT8_WEIGHT in layer.reached_by and not set(layer.nodes) & set(keep):
            _put_codes(result, layer.weight, _axis(readers[0], layer.weight))
    return in_fixed_order(result)


def to_bfloat16(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Weights stored in bfloat16 and expanded to float32, for a runtime that computes in bfloat16."""
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    for layer in find_layers(result):
        weight, stored = layer.weight, f"{layer.weight}_bf16"
        values = _values(result, weight).astype(helper.tensor_dtype_to_np_dtype(TensorProto.BFLOAT16))
        tensor = helper.make_tensor(stored, TensorProto.BFLOAT16, values.shape, values.tobytes(), raw=True)
        _put(result, weight, {stored: tensor})
        result.graph.node.append(_expanding("Cast", [stored], weight, {"to": TensorProto.FLOAT}))
    return in_fixed_order(result)


def to_float16_weights(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Constants stored in float16 and expanded to float32 when the runtime loads them.

    A graph that computes in float16 is cast back and forth at each operator where the processor has no such
    kernels: it took up to 1.9 times as long. What does not fit into float16 stays as it is.
    """
    result = onnx.ModelProto()
    result.CopyFrom(proto)
    for graph in all_graphs(result.graph):
        casts = [_halved(tensor) for tensor in graph.initializer if _fits_half(tensor)]
        nodes = [NodeProto.FromString(node.SerializeToString()) for node in graph.node]
        del graph.node[:]
        graph.node.extend([*casts, *nodes])
    return in_fixed_order(result)


def channel_codes(weight: Array, axis: int) -> tuple[Array, Array]:
    """Codes (int8) and a scale for each slice along `axis`; slices of zeros have scale 1."""
    others = tuple(one for one in range(weight.ndim) if one != axis % weight.ndim)
    largest = np.abs(weight).max(axis=others, keepdims=True)
    scale = np.where(largest > 0, largest / np.float32(_LARGEST), np.float32(1)).astype(np.float32)
    return np.rint(weight / scale).astype(np.int8), scale.reshape(-1)


def _put_codes(proto: onnx.ModelProto, weight: str, axis: int) -> None:
    codes, scales = channel_codes(_values(proto, weight), axis)
    arrays = {f"{weight}_quantized": codes, f"{weight}_scale": scales}
    _put(proto, weight, {name: numpy_helper.from_array(array, name) for name, array in arrays.items()})
    proto.graph.node.append(_expanding("DequantizeLinear", [*arrays], weight, {"axis": axis}))


def _check_opset(proto: onnx.ModelProto) -> None:
    old = [one.version for one in proto.opset_import if one.domain in ("", "ai.onnx")]
    if old and min(old) < _AXIS_OPSET:
        raise UnsupportedError(f"opset {min(old)} has no scales for single channels")


def _fits_half(tensor: TensorProto) -> bool:
    largest = float(np.finfo(np.float16).max)
    plain = tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 0
    return plain and bool(np.all(np.abs(numpy_helper.to_array(tensor)) <= largest))


def _halved(tensor: TensorProto) -> NodeProto:
    """Makes a constant float16, and gives the node that expands it."""
    name, stored = tensor.name, f"{tensor.name}_fp16"
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), stored))
    return _expanding("Cast", [stored], name, {"to": TensorProto.FLOAT})


def _values(proto: onnx.ModelProto, name: str) -> Array:
    tensor = next(tensor for tensor in proto.graph.initializer if tensor.name == name)
    return np.asarray(numpy_helper.to_array(tensor))


def _put(proto: onnx.ModelProto, weight: str, parts: Mapping[str, TensorProto]) -> None:
    """Store other constants in place of a weight."""
    kept = [tensor for tensor in proto.graph.initializer if tensor.name != weight]
    copies = [TensorProto.FromString(tensor.SerializeToString()) for tensor in (*kept, *parts.values())]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(copies)


def _expanding(kind: str, parts: list[str], weight: str, settings: dict[str, Any]) -> NodeProto:
    """The node that makes a weight of what is stored."""
    return helper.make_node(kind, parts, [weight], name=f"{weight}_expanded", **settings)


def _axis(node: NodeProto, weight: str) -> int:
    """The axis of output channels of a node's weight."""
    settings = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type == "MatMul":
        return -1 if node.input[1] == weight else -2
    if node.op_type == "Gemm":
        return 0 if settings.get("transB", 0) else 1
    return {"Conv": 0, "Gather": 0}.get(node.op_type, 1)
