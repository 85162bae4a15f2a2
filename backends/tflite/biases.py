"""Biases that int8 can hold: as vectors, and with weight scales that are wide enough for them.

A bias is stored in 32 bits in steps of the input's scale times the weight's. A channel with almost no weight
and a large offset (a folded norm leaves such) has steps so small that the offset does not fit, and the
quantizer clips it in silence. Its weights can be stored more coarsely: beside the offset they do not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...profiles.errors import InternalError

# Positions of input, weight and bias among the inputs of each operator that has a bias.
_PLACES = {
    "CONV_2D": (0, 1, 2),
    "DEPTHWISE_CONV_2D": (0, 1, 2),
    "FULLY_CONNECTED": (0, 1, 2),
    "TRANSPOSE_CONV": (2, 1, 3),
}
_LARGEST = 2.0**30  # of a bias in its steps: leaves as much again for the sum of products
_SMALLEST = 2.0**-30  # scale of a channel beside that of the layer's largest: less is no weight at all
_WEIGHT_STEPS = 127


@dataclass(frozen=True, kw_only=True)
class _Layer:
    """The tensors of one operator with weight and bias, and the values of the two in a float model."""

    data: Any
    weight: Any
    bias: Any
    weights: NDArray[Any]
    biases: NDArray[Any]


def as_vectors(content: bytes) -> bytes:
    """The model with each bias as a vector: folded norms leave some of shape [1, 1, 1, channels].

    Models whose constants stand behind the flatbuffer are given back as they are.
    """
    model = _read(content)
    if any(buffer.offset > 1 for buffer in model.buffers):
        return content
    biases = [layer.bias for layer in _layers(model, content) if len(layer.bias.shape) > 1]
    if not biases:
        return content
    for bias in biases:
        bias.shape = np.array([np.prod(bias.shape)], np.int32)
        bias.shapeSignature = None
    builder = import_module("flatbuffers").Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def wider_weights(source: bytes, artifact: bytes) -> dict[str, dict[str, NDArray[np.float32]]]:
    """Ranges of those weights, by the names of their tensors, whose scales in `artifact` are too small.

    `artifact` is `source` quantized. Ranges are those that ai-edge-quantizer takes in place of its own.
    """
    before = list(_layers(_read(source), source))
    after = list(_layers(_read(artifact), artifact))
    if len(before) != len(after):
        raise InternalError(f"{len(before)} layers with a bias were quantized, {len(after)} came out")
    found: dict[str, NDArray[np.float32]] = {}
    for layer, quantized in zip(before, after, strict=True):
        steps = _steps(layer, quantized)
        if steps is not None:
            name = layer.weight.name.decode("utf-8")
            found[name] = np.maximum(steps * np.float32(_WEIGHT_STEPS), found.get(name, np.float32(0)))
    return {name: {"min": -largest, "max": largest} for name, largest in found.items()}


def _steps(layer: _Layer, quantized: _Layer) -> NDArray[np.float32] | None:
    """Scales of the layer's weight, wide enough for its bias; None where those of the artifact are."""
    given, scales = _scales(quantized.data), _scales(quantized.weight)
    if given is None or scales is None or _scales(quantized.bias) is None:
        return None
    rank = layer.weights.ndim
    axis = quantized.weight.quantization.quantizedDimension if len(scales) > 1 else None
    others = tuple(i for i in range(rank) if i != axis)
    largest = np.abs(layer.weights).max(others, keepdims=True) / _WEIGHT_STEPS
    needed = np.abs(layer.biases.astype(np.float64)) / (float(given[0]) * _LARGEST)
    needed = needed.reshape(largest.shape) if axis is not None else needed.max()
    needed = np.maximum(needed, float(scales.max()) * _SMALLEST)
    wide: NDArray[np.float32] = np.maximum(largest, needed).astype(np.float32)
    return wide if np.any(scales.reshape(largest.shape) < needed) else None


def _scales(tensor: Any) -> NDArray[np.float32] | None:
    scale = tensor.quantization.scale if tensor.quantization is not None else None
    return None if scale is None or not len(scale) else np.asarray(scale, np.float32)


def _layers(model: Any, content: bytes) -> Iterator[_Layer]:
    """Operators with a constant weight and a constant bias, in the order of the file."""
    for graph in model.subgraphs:
        for operator in graph.operators:
            places = _PLACES.get(_kind(model, operator), ())
            if not places or len(operator.inputs) <= places[-1] or operator.inputs[places[-1]] < 0:
                continue
            data, weight, bias = (graph.tensors[operator.inputs[place]] for place in places)
            values = [_values(model, tensor, content) for tensor in (weight, bias)]
            if values[0] is not None and values[1] is not None:
                yield _Layer(data=data, weight=weight, bias=bias, weights=values[0], biases=values[1])


def _kind(model: Any, operator: Any) -> str:
    code = model.operatorCodes[operator.opcodeIndex]
    return _names().get(max(code.builtinCode, code.deprecatedBuiltinCode), "")


def _names() -> Mapping[int, str]:
    from ai_edge_litert import schema_py_generated as schema

    return {getattr(schema.BuiltinOperator, name): name for name in _PLACES}


def _values(model: Any, tensor: Any, content: bytes) -> NDArray[Any] | None:
    """The elements of a constant; None of what is computed. Those that are not float are not read."""
    from ai_edge_litert import schema_py_generated as schema

    buffer = model.buffers[tensor.buffer]
    if buffer.offset > 1:
        raw = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
    elif buffer.data is None or not len(buffer.data):
        return None
    else:
        raw = np.asarray(buffer.data, np.uint8)
    return raw.view(np.float32).reshape(tensor.shape) if tensor.type == schema.TensorType.FLOAT32 else raw


def _read(content: bytes) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(content, 0)
