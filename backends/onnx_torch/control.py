"""Branches and loops: taken apart while the module is built, since runtimes behind PyTorch have none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import onnx

from .operators import Node, read_node
from .steps import Traced, Value

Scope = dict[str, Value]
BODIES = ("If", "Loop", "Scan", "SequenceMap")
"""Operators with graphs of their own."""
_MOST_ROUNDS = 256


class Build(Protocol):
    """What makes the steps of a module."""

    def graph(self, graph: onnx.GraphProto, scope: Scope) -> None:
        """Add a graph's names to a scope, and its steps to those of the module."""

    def step(self, node: Node, inputs: Sequence[Value]) -> Sequence[Value]:
        """Keep a step; what it gives."""


def run_control(build: Build, proto: onnx.NodeProto, inputs: list[Value], scope: Scope) -> Sequence[Value]:
    """What an operator with graphs of its own gives.

    Raises:
        UnsupportedError: what it does depends on the input.
    """
    node = read_node(proto)
    if node.operator == "If":
        return _branch(build, node, inputs[0], scope)
    if node.operator == "Loop":
        return _loop(build, node, inputs, scope)
    raise node.refused("it has no counterpart there")


def _branch(build: Build, node: Node, condition: Value, scope: Scope) -> Sequence[Value]:
    """The branch that is taken; where only the input tells, both and a choice between what they give."""
    branches = ("then_branch", "else_branch")
    if not isinstance(condition, Traced):
        return _run(build, node.get(branches[not bool(np.asarray(condition))]), scope, {})
    then, other = (_run(build, node.get(name), scope, {}) for name in branches)
    chosen = _instead(node, "Where")
    if any(_form(a) != _form(b) for a, b in zip(then, other, strict=True)):
        raise node.refused("which branch it takes depends on the input, and they give different shapes")
    return [build.step(chosen, [condition, a, b])[0] for a, b in zip(then, other, strict=True)]


def _instead(node: Node, operator: str) -> Node:
    return replace(node, operator=operator, attributes={}, outputs=1)


def _form(value: Value) -> tuple[int, ...]:
    return tuple(value.sample.shape) if isinstance(value, Traced) else np.asarray(value).shape


def _loop(build: Build, node: Node, inputs: list[Value], scope: Scope) -> Sequence[Value]:
    """The body once for each round."""
    (most, go), state = inputs[:2], list(inputs[2:])
    if isinstance(most, Traced):
        raise node.refused("how often it runs depends on the input")
    body, rounds = node.get("body"), _MOST_ROUNDS + 1 if most is None else int(most)
    stacked: list[list[Value]] = [[] for _ in range(len(body.output) - 1 - len(state))]
    go, number = np.array(True) if go is None else go, 0
    while number < rounds:
        if isinstance(go, Traced):
            raise node.refused("how often it runs depends on the input")
        if not bool(go):
            break
        if number == _MOST_ROUNDS:
            raise node.refused(f"it runs more than {_MOST_ROUNDS} times")
        names = [value.name for value in body.input]
        given = dict(zip(names, [np.array(number, np.int64), go, *state], strict=True))
        go, *made = _run(build, body, scope, given)
        state, number = made[: len(state)], number + 1
        for rows, row in zip(stacked, made[len(state) :], strict=True):
            rows.append(row)
    return [*state, *(_stacked(build, node, rows) for rows in stacked)]


def _stacked(build: Build, node: Node, rows: list[Value]) -> Value:
    if not rows:
        raise node.refused("it runs no round")
    if not any(isinstance(row, Traced) for row in rows):
        return np.stack([np.asarray(row) for row in rows])
    return build.step(_instead(node, "Stack"), rows)[0]


def _run(build: Build, graph: Any, scope: Scope, given: Scope) -> list[Value]:
    """The outputs of an inner graph, which sees the names around it."""
    inner = {**scope, **given}
    build.graph(graph, inner)
    return [inner[value.name] for value in graph.output]
