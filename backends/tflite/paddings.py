"""Padding of max pooling that an 8-bit grid can hold.

The converter pads with minus infinity. Quantized, that is a scale that no number has, and the interpreter
ends its process over it. The least value that calibration saw is as good: nothing on the grid is below it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..contract.backend import Feed
from .inspect import operators
from .pack import rewritten
from .session import interpreter_module

_PAD, _POOL = "PADV2", "MAX_POOL_2D"


def finite_paddings(content: bytes, feeds: Sequence[Feed]) -> bytes:
    """The model with the least value of `feeds` where a padding has minus infinity; itself without such."""
    if not {_PAD, _POOL} <= operators(content):
        return content
    found: dict[int, set[int]] = {}

    def look(model: Any) -> None:
        for values, padding in _infinite(model):
            found.setdefault(padding, set()).add(values)

    rewritten(content, look)
    if not found:
        return content
    least = _least(content, {position for some in found.values() for position in some}, feeds)

    def change(model: Any) -> None:
        for padding, sources in found.items():
            value = np.array([min(least[position] for position in sources)], np.float32)
            tensor = model.subgraphs[0].tensors[padding]
            buffer = type(model.buffers[0])()
            buffer.data = value.view(np.uint8)
            tensor.buffer = len(model.buffers)
            model.buffers.append(buffer)

    return rewritten(content, change)


def _infinite(model: Any) -> Iterator[tuple[int, int]]:
    """The tensors of what is padded and of the number it is padded with, where that is minus infinity."""
    from ai_edge_litert import schema_py_generated as schema

    graph = model.subgraphs[0]
    for operator in graph.operators:
        if model.operatorCodes[operator.opcodeIndex].builtinCode != schema.BuiltinOperator.PADV2:
            continue
        values, _, padding = operator.inputs
        data = model.buffers[graph.tensors[padding].buffer].data
        if data is not None and len(data) == 4 and np.asarray(data, np.uint8).view(np.float32)[0] == -np.inf:
            yield int(values), int(padding)


def _least(content: bytes, positions: Iterable[int], feeds: Sequence[Feed]) -> dict[int, float]:
    """The least value of each tensor over all feeds."""
    interpreter = interpreter_module().Interpreter(
        model_content=content, num_threads=1, experimental_preserve_all_tensors=True
    )
    interpreter.allocate_tensors()
    names = {key: details["index"] for key, details in _inputs(interpreter).items()}
    least = dict.fromkeys(positions, np.inf)
    for feed in feeds:
        for name, index in names.items():
            interpreter.set_tensor(index, feed[name])
        interpreter.invoke()
        least = {at: min(value, float(interpreter.get_tensor(at).min())) for at, value in least.items()}
    return least


def _inputs(interpreter: Any) -> dict[str, Any]:
    """Details of the inputs by the names of the signature."""
    signature = next(iter(interpreter.get_signature_list()))
    details: dict[str, Any] = interpreter.get_signature_runner(signature).get_input_details()
    return details
