"""Which operators of a model XNNPACK runs, and which are left to LiteRT's builtin kernels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..contract.placement import UNSAID, ModelPlacement, NodePlacement

XNNPACK_HAS, BUILTIN = "XNNPACK", "builtin kernels"
"""Who runs an operator."""
_DELEGATE = "DELEGATE"
# What LiteRT 2.3's XNNPACK delegate takes at all, under conditions on types and shapes
# (`VisitNode` of tflite/delegates/xnnpack/xnnpack_delegate.cc, and single operators tried).
_TAKEN = re.compile(
    "ABS|ADD|ASSIGN_VARIABLE|AVERAGE_POOL_2D|BATCH_MATMUL|CEIL|CONCATENATION|CONV_2D|COS|CUSTOM|"
    "DEPTHWISE_CONV_2D|DEPTH_TO_SPACE|DEQUANTIZE|DIV|ELU|EXP|EXPAND_DIMS|FLOOR|FULLY_CONNECTED|GELU|HARD_SWISH|"
    "LEAKY_RELU|LOG|LOGISTIC|MAXIMUM|MAX_POOL_2D|MEAN|MINIMUM|MUL|NEG|PAD|PRELU|QUANTIZE|READ_VARIABLE|REDUCE_MAX|"
    "REDUCE_MIN|RELU|RELU6|RELU_N1_TO_1|RESHAPE|RESIZE_BILINEAR|ROUND|RSQRT|SIN|SLICE|SOFTMAX|SPACE_TO_DEPTH|"
    "SPLIT|SQRT|SQUARE|SQUARED_DIFFERENCE|STABLEHLO_COMPOSITE|STRIDED_SLICE|SUB|SUM|TANH|TRANSPOSE|"
    "TRANSPOSE_CONV|VAR_HANDLE"
)
# It reads whole numbers of 32 bits as shapes, axes and biases, and makes none.
_INDICES = ("int32", "int64")
_NO_KERNELS = ("int16", "float64", "bool", "complex64", "complex128")


@dataclass(frozen=True, kw_only=True)
class ListedOperator:
    """One operator as an interpreter lists it, by the numbers of its tensors."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def operators_of(interpreter: Any) -> list[ListedOperator]:
    """All operators of the main graph, and behind them what delegates put in their place."""
    return [
        ListedOperator(
            name=str(one["op_name"]),
            inputs=tuple(int(number) for number in one["inputs"] if number >= 0),
            outputs=tuple(int(number) for number in one["outputs"] if number >= 0),
        )
        for one in interpreter._get_ops_details()
    ]


def place(
    operators: Sequence[ListedOperator],
    tensors: Mapping[int, Mapping[str, Any]],
    wanted: str = XNNPACK_HAS,
) -> ModelPlacement:
    """The operators of the file, each with who runs it. `tensors` are the details of all tensors, `wanted` is
    who was asked to run them."""
    own = [one for one in operators if one.name != _DELEGATE]
    delegated = _within(own, [one for one in operators if one.name == _DELEGATE])
    nodes = []
    for number, one in enumerate(own):
        runs = XNNPACK_HAS if number in delegated else BUILTIN
        nodes.append(
            NodePlacement(
                name=_name(number, one, tensors),
                op=one.name,
                kernel=f"{one.name} ({_types(one.outputs[:1], tensors)})",
                place=runs,
                intended=runs == wanted,
                reason="" if runs == wanted else _reason(one, tensors),
            )
        )
    return ModelPlacement(intended=wanted, nodes=tuple(nodes))


def _within(own: Sequence[ListedOperator], delegates: Iterable[ListedOperator]) -> set[int]:
    """The numbers of the operators that delegates run: what leads to their outputs, back to their inputs."""
    maker = {tensor: number for number, one in enumerate(own) for tensor in one.outputs}
    found = set[int]()
    for delegate in delegates:
        inputs, wanted = set(delegate.inputs), list(delegate.outputs)
        while wanted:
            number = maker.get(wanted.pop())
            if number is not None and number not in found:
                found.add(number)
                wanted += (tensor for tensor in own[number].inputs if tensor not in inputs)
    return found


def _reason(operator: ListedOperator, tensors: Mapping[int, Mapping[str, Any]]) -> str:
    if not _TAKEN.fullmatch(operator.name):
        return f"{operator.name} is not among the operators that XNNPACK takes in LiteRT 2.3"
    if any(_is_free(number, tensors) for number in _all(operator)):
        return "its shapes depend on what is fed, and XNNPACK takes fixed ones alone"
    read, made = _types(operator.inputs, tensors), _types(operator.outputs, tensors)
    none = [kind for kind in made.split(", ") if kind in _INDICES]
    none += [kind for kind in (*read.split(", "), *made.split(", ")) if kind in _NO_KERNELS]
    if none:
        return f"XNNPACK has no kernels in {none[0]}"
    return f"XNNPACK takes {operator.name}, but not here, from {read} to {made}; {UNSAID}"


def _all(operator: ListedOperator) -> tuple[int, ...]:
    return (*operator.inputs, *operator.outputs)


def _is_free(number: int, tensors: Mapping[int, Mapping[str, Any]]) -> bool:
    return -1 in (int(size) for size in tensors.get(number, {}).get("shape_signature", ()))


def _name(number: int, operator: ListedOperator, tensors: Mapping[int, Mapping[str, Any]]) -> str:
    """That of its output, where the file has kept it."""
    told = [_name_of(output, tensors) for output in operator.outputs[:1]]
    return next(filter(None, told), f"operator {number}")


def _name_of(number: int, tensors: Mapping[int, Mapping[str, Any]]) -> str:
    return str(tensors[number]["name"]) if number in tensors else f"tensor {number}"


def _types(numbers: Iterable[int], tensors: Mapping[int, Mapping[str, Any]]) -> str:
    """The types of tensors, each kind once: "int8, int32"."""
    kinds = (np.dtype(tensors[number]["dtype"]).name for number in numbers if number in tensors)
    return ", ".join(dict.fromkeys(kinds)) or "nothing"
