"""What a .tflite file holds: its operators, and its constants by storage type."""

from __future__ import annotations

from collections import Counter
from functools import cache
from typing import Any


def weight_bytes(content: bytes) -> dict[str, int]:
    """Bytes of constant tensors by storage type ("float32", "int8", "int4"); a shared buffer counts once."""
    model = _model(content)
    names = _names("TensorType")
    seen: set[int] = set()
    total: Counter[str] = Counter()
    for graph in _subgraphs(model):
        for index in range(graph.TensorsLength()):
            tensor = graph.Tensors(index)
            size = _stored(model.Buffers(tensor.Buffer()))
            if size and tensor.Buffer() not in seen:
                seen.add(tensor.Buffer())
                total[names[tensor.Type()].lower()] += size
    return dict(sorted(total.items()))


def operators(content: bytes) -> set[str]:
    """Names of the builtin operators that the model uses ("CONV_2D"); "CUSTOM" for all others."""
    model = _model(content)
    names = _names("BuiltinOperator")
    codes = [model.OperatorCodes(index) for index in range(model.OperatorCodesLength())]
    # Old writers fill the deprecated field alone, new ones both up to 127.
    known = [names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())] for code in codes]
    return {
        known[graph.Operators(index).OpcodeIndex()]
        for graph in _subgraphs(model)
        for index in range(graph.OperatorsLength())
    }


def _stored(buffer: Any) -> int:
    """Bytes of a buffer, which writers of large models put behind the flatbuffer itself."""
    outside = buffer.Size() if buffer.Offset() > 1 else 0
    return int(buffer.DataLength() or outside)


def _subgraphs(model: Any) -> list[Any]:
    return [model.Subgraphs(index) for index in range(model.SubgraphsLength())]


def _model(content: bytes) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    return schema.Model.GetRootAs(content, 0)


@cache
def _names(enumeration: str) -> dict[int, str]:
    """Numbers of the schema's enumeration to their names."""
    from ai_edge_litert import schema_py_generated as schema

    members = vars(getattr(schema, enumeration)).items()
    return {number: name for name, number in members if isinstance(number, int)}
