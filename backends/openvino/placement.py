"""Where OpenVINO runs the nodes of a model: its runtime model beside what the file means to run low."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...profiles.errors import UnsupportedError
from ...profiles.precision import Precision
from ...profiles.words import listed
from ..contract.integers import QdqStep, between
from ..contract.placement import UNSAID, ModelPlacement, NodePlacement, shares_of_time

LEAST_SHARE = 0.5
PRODUCTS = ("FullyConnected", "MatMul", "Convolution", "Deconvolution")
"""Matrix products and convolutions as the runtime calls them."""
_WEIGHTED = (
    "MatMul", "Convolution", "GroupConvolution", "ConvolutionBackpropData", "GroupConvolutionBackpropData",
)  # fmt: skip
_INTEGERS = ("u8", "i8", "u4", "i4", "u16", "i16")
_INT8, _BF16 = "int8", "bf16"
_LOW = {Precision.INT8: _INT8, Precision.GIVEN: _INT8, Precision.BF16: _BF16}
"""What a precision computes in."""
_ENDS = {_INT8: "I8", _BF16: "bf16"}
"""How the names of such kernels end, say `brgconv_avx512_I8`."""
_LAYOUT = ("Transpose", "Reorder", "ShapeOf")
_NUMBERED = re.compile(r"(?:^|_)[A-Z][A-Za-z]+_\d+(?:[._]|$)")
"""In names that OpenVINO makes up: the numbers change with what was read before."""
_REFERENCE = "ref"
_NOT_RUN = "not_executed"
_NO_NODES = ("Input", "Output", "Reshape")


@dataclass(frozen=True, kw_only=True)
class MeantLow:
    """An operator that a file means to run in `kind`, and the number of its weights (0: it has none)."""

    operator: str
    kind: str
    weights: int = 0


@dataclass(frozen=True, kw_only=True)
class RanNode:
    """A node of the runtime model: what it is, the names of the file's operators that went into it, the
    kernel that computes it, and the microseconds that it takes (0 as well where it was not timed)."""

    name: str
    kind: str
    originals: tuple[str, ...]
    kernel: str
    time: float = 0.0

    def runs_in(self, kind: str) -> bool:
        """Whether the kernel is one of that type."""
        return self.kernel.endswith(_ENDS[kind])


def meant_low(model: Any, hint: str = "") -> dict[str, MeantLow]:
    """What a model that was read means to run low, by the names of its operators: all between dequantizing
    and quantizing, but products whose weights are in float; with a hint of bf16, products whose weights are
    stored so."""
    operators = list(model.get_ordered_ops())
    constant = _constant(operators)
    stored = {_name(op): _stored(op) for op in operators if op.get_type_name() in _WEIGHTED}
    inside = between([_step(op, constant, stored) for op in operators if _name(op) not in constant])
    found = {}
    for op in operators:
        name, kind = _name(op), op.get_type_name()
        weight, count = stored.get(name, ("", 0))
        if name in inside or (weight in _INTEGERS and _dequantizes(_maker(op, 0), constant)):
            found[name] = MeantLow(operator=kind, kind=_INT8, weights=count)
        elif hint == weight == _BF16:
            found[name] = MeantLow(operator=kind, kind=_BF16, weights=count)
    return found


def _constant(operators: Sequence[Any]) -> set[str]:
    """Names of operators whose values do not depend on what is fed."""
    found = set[str]()
    for op in operators:
        makers = [_name(value.get_source_output().get_node()) for value in op.inputs()]
        if op.get_type_name() == "Constant" or (makers and found.issuperset(makers)):
            found.add(_name(op))
    return found


def _step(op: Any, constant: set[str], stored: Mapping[str, tuple[str, int]]) -> QdqStep:
    makers = [_name(value.get_source_output().get_node()) for value in op.inputs()]
    weight, _ = stored.get(_name(op), ("", 0))
    return QdqStep(
        name=_name(op),
        inputs=tuple(name for name in makers if name not in constant),
        outputs=(_name(op),),
        opens=_dequantizes(op, constant),
        closes=op.get_type_name() == "FakeQuantize",
        kept=bool(weight) and weight not in _INTEGERS,
    )


def _dequantizes(op: Any, constant: set[str]) -> bool:
    """Whether it ends what a DequantizeLinear of a file becomes: Convert, maybe Subtract, Multiply."""
    if op.get_type_name() != "Multiply" or _name(op) in constant:
        return False
    inner = _maker(op, 0)
    inner = _maker(inner, 0) if inner.get_type_name() == "Subtract" else inner
    kind = inner.input(0).get_element_type().get_type_name() if inner.get_type_name() == "Convert" else ""
    return kind in _INTEGERS


def _stored(op: Any) -> tuple[str, int]:
    """The type in which the weight of a product is stored, and the number of its elements; nothing where it
    is no constant."""
    found = _maker(op, 1)
    while found.get_type_name() in ("Convert", "Subtract", "Multiply", "Reshape", "Transpose"):
        found = _maker(found, 0)
    if found.get_type_name() != "Constant":
        return "", 0
    return found.get_element_type().get_type_name(), math.prod(found.get_output_shape(0))


def _maker(op: Any, index: int) -> Any:
    return op.input(index).get_source_output().get_node()


def _name(op: Any) -> str:
    return str(op.get_friendly_name())


def ran_nodes(runtime_model: Any) -> list[RanNode]:
    """The nodes of a runtime model in their order, but those that compute nothing of what is fed: inputs,
    outputs, constants and what is made of constants alone, and reshapes, which move nothing."""
    found: list[RanNode] = []
    constant = set[str]()
    for op in runtime_model.get_ordered_ops():
        said = op.get_rt_info()
        kind, names, kernel, time = (
            said[key].astype(str)
            for key in ("layerType", "originalLayersNames", "primitiveType", "execTimeMcs")
        )
        makers = {_name(value.get_source_output().get_node()) for value in op.inputs()}
        if kind == "Const" or (makers and constant.issuperset(makers)):
            constant.add(_name(op))
        elif kind not in _NO_NODES:
            found.append(
                RanNode(
                    name=_name(op),
                    kind=kind,
                    originals=tuple(filter(None, names.split(","))),
                    kernel=kernel,
                    time=0.0 if time == _NOT_RUN else float(time),
                )
            )
    return found


def without_first(ran: Sequence[RanNode], first: Sequence[RanNode], runs: int) -> list[RanNode]:
    """The nodes with the times of all runs but the first, which also prepares: the runtime tells the mean of
    those up to now."""
    pairs = zip(ran, first, strict=True)
    return [replace(node, time=max(0.0, runs * node.time - before.time)) for node, before in pairs]


def placed(
    ran: Sequence[RanNode], meant: Mapping[str, MeantLow], own: Collection[str] = ()
) -> ModelPlacement:
    """The nodes, each with its kernel. `own` are the names that the file itself has."""
    shares = shares_of_time([node.time for node in ran])
    nodes = []
    for number, (node, share) in enumerate(zip(ran, shares, strict=True)):
        reason = _reason(node, meant)
        nodes.append(
            NodePlacement(
                name=_called(node, number, own),
                op=node.kind,
                kernel=node.kernel,
                place="CPU",
                intended=not reason,
                reason=reason,
                share_of_time=share,
            )
        )
    return ModelPlacement(intended="kernels in the type that the file means", nodes=tuple(nodes))


def _called(node: RanNode, number: int, own: Collection[str]) -> str:
    """Its name, where it is the same whenever the file is read; else that of an operator of the file which
    went into it."""
    if node.name in own or not _NUMBERED.search(node.name):
        return node.name
    return next((name for name in node.originals if name in own), f"{node.kind} {number}")


def _reason(node: RanNode, meant: Mapping[str, MeantLow]) -> str:
    if node.kind in PRODUCTS and node.kernel.startswith(_REFERENCE):
        return "OpenVINO has only its reference kernel for it here"
    wanted = [meant[name] for name in node.originals if name in meant]
    missed = [one for one in wanted if not node.runs_in(one.kind)]
    if not missed or node.kind in _LAYOUT:
        return ""
    return f"it is meant in {missed[0].kind}, and {node.kernel} computes in another type; {UNSAID}"


def proof(precision: Precision, ran: Iterable[RanNode], meant: Mapping[str, MeantLow]) -> tuple[str, ...]:
    """In words, how many of the products that are meant low run low; nothing where a precision is float's.

    Raises:
        UnsupportedError: most of their weights are computed in float.
    """
    kind = _LOW.get(precision, "")
    kernels = {name: node for node in ran if node.kind in PRODUCTS for name in node.originals}
    asked = {name: one for name, one in meant.items() if one.kind == kind and one.weights and name in kernels}
    if not asked:
        return ()
    rest = {name: one for name, one in asked.items() if not kernels[name].runs_in(kind)}
    others = sorted({f"{one.operator} ({kernels[name].kernel})" for name, one in rest.items()})
    share = 1 - sum(one.weights for one in rest.values()) / sum(one.weights for one in asked.values())
    if share < LEAST_SHARE and precision is not Precision.GIVEN:
        raise UnsupportedError(
            f"{precision}: OpenVINO computes {100 * share:.0f} % of the weights in {kind}, not those of "
            f"{listed(others, 3)}"
        )
    low, all_ = len(asked) - len(rest), len(asked)
    text = (
        f"computed in {kind}: {low} of {all_} matrix products and convolutions, {100 * share:.1f} % of their "
        "weights"
    )
    return (f"{text}; not those of {listed(others, 3)}" if rest else text,)
