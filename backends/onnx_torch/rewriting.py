"""Nodes written the way PyTorch's layers have them, so that converters know them again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .operators import Node
from .steps import Array, Traced, Value

Rewritten = tuple[Node, list[Value]]


def rewritten(node: Node, inputs: list[Value]) -> Rewritten:
    """The node and its inputs, as a layer where it is one."""
    rule = _RULES.get(node.operator) if not node.domain else None
    return rule(node, inputs) if rule else (node, inputs)


def _matmul(node: Node, inputs: list[Value]) -> Rewritten:
    a, b = inputs
    if isinstance(b, Traced) or b is None or b.ndim != 2:
        return node, inputs
    return replace(node, operator="Linear"), [a, _matrix(b.T)]


def _gemm(node: Node, inputs: list[Value]) -> Rewritten:
    a, b, c = (*inputs, None)[:3]
    bias_is_row = c is None or (isinstance(c, np.ndarray) and c.shape in _rows(node, b))
    if isinstance(b, Traced) or b is None or node.get("transA", 0) or not bias_is_row:
        return node, inputs
    weight = _matrix((b if node.get("transB", 0) else b.T) * np.asarray(node.get("alpha", 1.0), b.dtype))
    if isinstance(c, np.ndarray):
        c = np.broadcast_to(c.reshape(-1) * np.asarray(node.get("beta", 1.0), c.dtype), weight.shape[:1])
    return replace(node, operator="Linear"), [a, weight, c]


def _rows(node: Node, b: Value) -> tuple[tuple[int, ...], ...]:
    count = b.shape[0 if node.get("transB", 0) else 1] if isinstance(b, np.ndarray) else 0
    return (), (1,), (count,), (1, count), (1, 1)


def _gather(node: Node, inputs: list[Value]) -> Rewritten:
    data, places = inputs
    if not isinstance(places, Traced):
        return replace(node, operator="GatherKnown"), inputs
    if isinstance(data, np.ndarray) and data.ndim == 2 and data.dtype.kind == "f" and not node.get("axis", 0):
        return replace(node, operator="Embedding"), [places, data]
    return node, inputs


def _clip(node: Node, inputs: list[Value]) -> Rewritten:
    bounded = any(isinstance(bound, Traced) for bound in inputs[1:])
    return (replace(node, operator="ClipBetween") if bounded else node), inputs


def _matrix(array: Array) -> Array:
    return np.ascontiguousarray(array)


_RULES: dict[str, Callable[[Node, list[Value]], Rewritten]] = {
    "Clip": _clip,
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Gather": _gather,
}
