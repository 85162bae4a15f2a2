"""What a .tflite file holds: its operators, its constants by storage type, and the weights of its layers."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Operators that carry weights, and which of their inputs may be the weight.
_WEIGHT_INPUTS = {
    "BATCH_MATMUL": (0, 1),
    "CONV_2D": (1,),
    "DEPTHWISE_CONV_2D": (1,),
    "EMBEDDING_LOOKUP": (1,),
    "FULLY_CONNECTED": (1,),
    "TRANSPOSE_CONV": (1,),
}
# How the elements of a buffer are read; 4-bit ones stand two in a byte, the low half first.
_DTYPES = {
    "float32": np.float32, "float16": np.float16, "int8": np.int8, "uint8": np.uint8, "int16": np.int16,
    "int32": np.int32, "int64": np.int64,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Weight:
    """The constant weight of one operator, as it is stored.

    `scope` is what ai-edge-quantizer calls the operator by: the names of its outputs, each with a semicolon.
    `names` are the names of its first output, of the weight and of all its constants. `zeros` counts the
    elements that stand for zero (integers: those equal to the zero point). Operators with the same `buffer`
    share the weight.
    """

    operator: str
    scope: str
    names: tuple[str, ...]
    buffer: int
    stored_as: str
    shape: tuple[int, ...]
    count: int
    zeros: int


def weight_bytes(content: bytes) -> dict[str, int]:
    """Bytes of constant tensors by storage type ("float32", "int8", "int4"); a shared buffer counts once."""
    model = read_model(content)
    seen: set[int] = set()
    total: Counter[str] = Counter()
    for graph in subgraphs(model):
        for index in range(graph.TensorsLength()):
            tensor = graph.Tensors(index)
            size = stored_bytes(model.Buffers(tensor.Buffer()))
            if size and tensor.Buffer() not in seen:
                seen.add(tensor.Buffer())
                total[tensor_type(tensor)] += size
    return dict(sorted(total.items()))


def operators(content: bytes) -> set[str]:
    """Names of the builtin operators that the model uses ("CONV_2D"); "CUSTOM" for all others."""
    model = read_model(content)
    known = _operator_names(model)
    return {
        known[graph.Operators(index).OpcodeIndex()]
        for graph in subgraphs(model)
        for index in range(graph.OperatorsLength())
    }


def weights(content: bytes) -> tuple[Weight, ...]:
    """The weights of all operators that have one, in the order in which the operators stand in the file.

    Quantizing a model keeps their number and order. A weight behind a DEQUANTIZE operator is its constant.
    """
    model = read_model(content)
    return tuple(
        _weight(model, graph, operator, kind, graph.Tensors(position), content)
        for graph in subgraphs(model)
        for operator, kind, position in _weighted(model, graph)
    )


def weight_tensors(content: bytes) -> tuple[tuple[int, int], ...]:
    """Of each weight of `weights`: the number of its graph, and of its tensor there."""
    model = read_model(content)
    return tuple(
        (index, position)
        for index, graph in enumerate(subgraphs(model))
        for _, _, position in _weighted(model, graph)
    )


def read_by(content: bytes) -> dict[tuple[str, str], int]:
    """Number of constants of two axes or more by the operator that reads them and their storage type, whether
    it is one with weights or not; a shared one counts once."""
    model = read_model(content)
    known, seen = _operator_names(model), set[int]()
    found: Counter[tuple[str, str]] = Counter()
    for graph in subgraphs(model):
        for operator in (graph.Operators(index) for index in range(graph.OperatorsLength())):
            inputs = [operator.Inputs(i) for i in range(operator.InputsLength()) if operator.Inputs(i) >= 0]
            for tensor in (graph.Tensors(index) for index in inputs):
                constant = stored_bytes(model.Buffers(tensor.Buffer())) and tensor.Buffer() not in seen
                shape = [tensor.Shape(axis) for axis in range(tensor.ShapeLength())]
                if constant and sum(size > 1 for size in shape) > 1:
                    seen.add(tensor.Buffer())
                    found[known[operator.OpcodeIndex()], tensor_type(tensor)] += math.prod(shape)
    return dict(found)


def _weighted(model: Any, graph: Any) -> Iterator[tuple[Any, str, int]]:
    """Each operator that has a weight, with its name and the position of the weight's tensor."""
    known = _operator_names(model)
    expanded: dict[int, int] = {}  # output of a DEQUANTIZE operator: its input
    for index in range(graph.OperatorsLength()):
        operator = graph.Operators(index)
        kind = known[operator.OpcodeIndex()]
        if kind == "DEQUANTIZE":
            expanded[operator.Outputs(0)] = operator.Inputs(0)
        for number in _WEIGHT_INPUTS.get(kind, ()):
            position = expanded.get(operator.Inputs(number), operator.Inputs(number))
            if stored_bytes(model.Buffers(graph.Tensors(position).Buffer())):
                yield operator, kind, position
                break


def _weight(model: Any, graph: Any, operator: Any, kind: str, tensor: Any, content: bytes) -> Weight:
    outputs = [text_of(graph.Tensors(operator.Outputs(i))) for i in range(operator.OutputsLength())]
    inputs = [operator.Inputs(i) for i in range(operator.InputsLength()) if operator.Inputs(i) >= 0]
    constants = [graph.Tensors(i) for i in inputs if stored_bytes(model.Buffers(graph.Tensors(i).Buffer()))]
    values = _elements(model, tensor, content)
    return Weight(
        operator=kind,
        scope="".join(f"{name};" for name in outputs if name),
        names=(outputs[0], *(text_of(constant) for constant in (tensor, *constants))),
        buffer=tensor.Buffer(),
        stored_as=tensor_type(tensor),
        shape=values.shape,
        count=values.size,
        zeros=int(np.count_nonzero(values == _zero_point(tensor, values))),
    )


def _elements(model: Any, tensor: Any, content: bytes) -> NDArray[Any]:
    """The elements of a constant tensor in its shape; 4-bit ones as int8.

    Raises:
        ValueError: the tensor has a storage type that no weight of ours is stored in.
    """
    buffer = model.Buffers(tensor.Buffer())
    if buffer.Offset() > 1:
        raw = np.frombuffer(content, np.uint8, buffer.Size(), buffer.Offset())
    else:
        raw = np.asarray(buffer.DataAsNumpy(), np.uint8)
    kind = tensor_type(tensor)
    shape = tuple(tensor.Shape(i) for i in range(tensor.ShapeLength()))
    if kind == "int4":
        halves = np.stack([raw & 15, raw >> 4], axis=-1).reshape(-1)[: int(np.prod(shape))]
        return (((halves ^ 8).astype(np.int8)) - 8).reshape(shape)
    if kind not in _DTYPES:
        raise ValueError(f"weights stored as {kind} cannot be read")
    return raw.view(_DTYPES[kind]).reshape(shape)


def _zero_point(tensor: Any, values: NDArray[Any]) -> Any:
    """What stands for zero: one number, or one for each channel in a shape that `values` broadcasts with."""
    params = tensor.Quantization()
    if values.dtype.kind == "f" or params is None or not params.ZeroPointLength():
        return 0
    points = np.asarray(params.ZeroPointAsNumpy())
    if points.size == 1:
        return int(points[0])
    shape = [1] * values.ndim
    shape[params.QuantizedDimension()] = points.size
    return points.reshape(shape)


def _operator_names(model: Any) -> list[str]:
    names = _names("BuiltinOperator")
    codes = [model.OperatorCodes(index) for index in range(model.OperatorCodesLength())]
    # Old writers fill the deprecated field alone, new ones both up to 127.
    return [names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())] for code in codes]


def text_of(tensor: Any) -> str:
    """A tensor's name."""
    return (tensor.Name() or b"").decode("utf-8", "replace")


def stored_bytes(buffer: Any) -> int:
    """Bytes of a buffer, which writers of large models put behind the flatbuffer itself."""
    outside = buffer.Size() if buffer.Offset() > 1 else 0
    return int(buffer.DataLength() or outside)


def subgraphs(model: Any) -> list[Any]:
    """The main graph, and those that its operators run."""
    return [model.Subgraphs(index) for index in range(model.SubgraphsLength())]


def read_model(content: bytes) -> Any:
    """The root of the flatbuffer, which reads what it is asked for."""
    from ai_edge_litert import schema_py_generated as schema

    return schema.Model.GetRootAs(content, 0)


def tensor_type(tensor: Any) -> str:
    """The storage type of a tensor ("float32")."""
    return _names("TensorType")[tensor.Type()].lower()


@cache
def _names(enumeration: str) -> dict[int, str]:
    """Numbers of the schema's enumeration to their names."""
    from ai_edge_litert import schema_py_generated as schema

    members = vars(getattr(schema, enumeration)).items()
    return {number: name for name, number in members if isinstance(number, int)}
