"""Writes a .tflite file again without what no runtime reads. Weights, arithmetic and signatures stay.

The converter gives each tensor the paths of all modules that went into it, and the quantizer writes eight
bytes of zero point for each channel of each weight and bias: in models of some ten thousand weights that is
most of the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from ...profiles.errors import UnsupportedError
from .inspect import weight_tensors
from .layers import layers

_IDENTIFIER = b"TFL3"
_ALIGNMENT = 16  # that the format asks of constants
_UNREAD = (b"CONVERSION_METADATA", b"keep_stablehlo_constant")
_PLAIN = (*_UNREAD, b"min_runtime_version")
# Beyond this a flatbuffer cannot hold the constants itself; names do not matter then.
_LARGEST = 1 << 30


def compact(content: bytes) -> bytes:
    """The same model with layer names on its weights, no names on other inner tensors, equal vectors shared.

    Constants that stood behind the flatbuffer move into it. Given back as they are: very large models, and
    those from elsewhere that carry more than a model (labels, descriptions), which tools of theirs look for.
    """
    from ai_edge_litert import schema_py_generated as schema

    if len(content) > _LARGEST:
        return content
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    if any(operator.largeCustomOptionsSize for graph in model.subgraphs for operator in graph.operators):
        return content
    if any(entry.name not in _PLAIN for entry in model.metadata or ()):
        return content
    names = _weight_names(content)
    _inline(model, content)
    _drop_metadata(model)
    for index, graph in enumerate(model.subgraphs):
        graph.name = None
        ends = {*graph.inputs, *graph.outputs} if index == 0 else set()
        for position, tensor in enumerate(graph.tensors):
            if position not in ends:
                tensor.name = names.get((index, position))
            if tensor.quantization is not None and tensor.quantization.scale is None:
                tensor.quantization = None
    return _packed(model)


def rewritten(content: bytes, change: Callable[[Any], None]) -> bytes:
    """The model with what `change` does to its tables (objects of the schema's own classes)."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    _inline(model, content)
    change(model)
    return _packed(model)


def with_names(content: bytes, names: Mapping[str, str]) -> bytes:
    """The same model, its inputs and outputs under other names in its signatures.

    Raises:
        UnsupportedError: it is larger than a flatbuffer holds together with its constants.
    """
    if len(content) > _LARGEST:
        size = f"{len(content) / 1e9:.2f} GB"
        raise UnsupportedError(f"the model takes {size} as TFLite; 1 GB at most can be renamed")

    def rename(model: Any) -> None:
        for signature in model.signatureDefs:
            for end in (*signature.inputs, *signature.outputs):
                name = end.name.decode()
                end.name = names.get(name, name).encode()

    return rewritten(content, rename)


def with_ends_of(content: bytes, source: bytes) -> bytes:
    """A quantized model whose graph and signature give the source's outputs in the source's types.

    Of an output that the model itself reads too, the quantizer's signature names the tensor before it is
    brought back to float, which the runtime does not keep; and its graph may give what one reader got, in
    that reader's codes.
    """
    from ai_edge_litert import schema_py_generated as schema

    if len(content) > _LARGEST:
        return content
    before = schema.ModelT.InitFromPackedBuf(source, 0)
    after = schema.ModelT.InitFromPackedBuf(content, 0)
    given = after.subgraphs[0].outputs
    named = [end.tensorIndex for signature in (after.signatureDefs or [])[:1] for end in signature.outputs]
    if all(index in given for index in named) and _types(before) == _types(after):
        return content
    return rewritten(content, lambda model: _place(before, model))


def _types(model: Any) -> list[int]:
    graph = model.subgraphs[0]
    return [int(graph.tensors[index].type) for index in graph.outputs]


def _place(before: Any, after: Any) -> None:
    graph = after.subgraphs[0]
    pairs = zip(graph.outputs, _types(before), strict=True)
    graph.outputs = np.array([_of_type(after, int(index), kind) for index, kind in pairs], np.int32)
    order = [int(index) for index in before.subgraphs[0].outputs]
    places = {end.name: order.index(end.tensorIndex) for end in before.signatureDefs[0].outputs}
    for end in after.signatureDefs[0].outputs:
        end.tensorIndex = int(after.subgraphs[0].outputs[places[end.name]])


def _of_type(model: Any, index: int, kind: int) -> int:
    """The tensor with the numbers of this one in a type: itself, what it was quantized from, or what that is
    brought back to."""
    from ai_edge_litert import schema_py_generated as schema

    graph, operator = model.subgraphs[0], schema.BuiltinOperator
    made = {int(op.outputs[0]): int(op.inputs[0]) for op in _of_kind(model, operator.QUANTIZE)}
    read = {int(op.inputs[0]): int(op.outputs[0]) for op in _of_kind(model, operator.DEQUANTIZE)}
    for found in (index, read.get(index), made.get(index), read.get(made.get(index, -1))):
        if found is not None and graph.tensors[found].type == kind:
            return found
    return index


def _of_kind(model: Any, kind: int) -> list[Any]:
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    return [op for op in model.subgraphs[0].operators if codes[op.opcodeIndex] == kind]


def _weight_names(content: bytes) -> dict[tuple[int, int], bytes]:
    """Graph and position of each weight's tensor to its layer's name, the first of those that share it."""
    where = weight_tensors(content)
    found: dict[tuple[int, int], bytes] = {}
    for layer in layers(content):
        found.setdefault(where[layer.operators[0]], layer.name.encode())
    return found


def _inline(model: Any, content: bytes) -> None:
    for buffer in model.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
        buffer.offset = buffer.size = 0


def _drop_metadata(model: Any) -> None:
    dropped = [entry for entry in model.metadata or () if entry.name in _UNREAD]
    model.metadata = [entry for entry in model.metadata or () if entry.name not in _UNREAD] or None
    for entry in dropped:
        model.buffers[entry.buffer].data = None


def _packed(model: Any) -> bytes:
    builder = _sharing_builder()(1024)
    builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())


@cache
def _sharing_builder() -> type:
    """A builder of flatbuffers that writes equal vectors once; the package is known only where LiteRT is."""
    base = import_module("flatbuffers").Builder

    class Sharing(base):  # type: ignore[misc, valid-type]
        def __init__(self, size: int) -> None:
            super().__init__(size)
            self._written: dict[tuple[str, bytes], int] = {}

        def CreateNumpyVector(self, values: Any) -> Any:  # noqa: N802 (a name of flatbuffers)
            key = (values.dtype.str, values.tobytes())
            if key not in self._written:
                self._written[key] = super().CreateNumpyVector(values)
            return self._written[key]

        def StartVector(self, size: int, count: int, alignment: int) -> Any:  # noqa: N802
            return super().StartVector(size, count, _ALIGNMENT if size == 1 else alignment)

    return Sharing
