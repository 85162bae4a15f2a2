"""How operators are looked up: a table from ONNX's names to functions of tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import helper
from torch import Tensor

from ...profiles.errors import UnsupportedError

DEFAULT, MICROSOFT = "", "com.microsoft"
Function = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Node:
    """One node of a graph: its operator, its name, its attributes and the number of its outputs. `called` is
    the operator as the file has it, where another one stands in its place."""

    operator: str
    called: str
    domain: str
    name: str
    attributes: Mapping[str, Any]
    outputs: int

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or what it is where the file leaves it out."""
        return self.attributes.get(name, default)

    @property
    def title(self) -> str:
        """What messages call it."""
        of = f"{self.domain}." if self.domain else ""
        return f"the operator {of}{self.called}" + (f" (node {self.name!r})" if self.name else "")

    def refused(self, why: str) -> UnsupportedError:
        """The error that names this node."""
        return UnsupportedError(f"{self.title} cannot be brought to PyTorch: {why}")


@dataclass(frozen=True)
class Operator:
    """A function of a node and its inputs. Those at the `static` positions must be known before the model
    runs and are given as arrays; left-out ones are None."""

    function: Function
    static: frozenset[int]


_operators: dict[tuple[str, str], Operator] = {}


def operator(
    *names: str, static: tuple[int, ...] = (), domain: str = DEFAULT
) -> Callable[[Function], Function]:
    """Let a function stand for operators of these names."""

    def register(function: Function) -> Function:
        for name in names:
            _operators[domain, name] = Operator(function, frozenset(static))
        return function

    return register


def simple(functions: Mapping[str, Callable[..., Tensor]]) -> None:
    """Operators that are one function of their inputs."""
    for name, function in functions.items():
        operator(name)(_without_node(function))


def _without_node(function: Callable[..., Tensor]) -> Function:
    return lambda _, *inputs: function(*inputs)


def found(node: Node) -> Operator:
    """What stands for a node's operator.

    Raises:
        UnsupportedError: nothing does.
    """
    known = _operators.get((node.domain, node.operator))
    if known is None:
        raise node.refused("it has no counterpart there")
    return known


def known_operators() -> list[tuple[str, str]]:
    """Domain and name of each operator that something stands for."""
    return list(_operators)


def read_node(proto: onnx.NodeProto) -> Node:
    """A node as functions take it."""
    return Node(
        operator=proto.op_type,
        called=proto.op_type,
        domain="" if proto.domain == "ai.onnx" else proto.domain,
        name=proto.name,
        attributes={a.name: _value(a) for a in proto.attribute},
        outputs=len(proto.output),
    )


def _value(attribute: onnx.AttributeProto) -> Any:
    value = helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list) and value and isinstance(value[0], bytes):
        return [one.decode("utf-8", "replace") for one in value]
    return value
