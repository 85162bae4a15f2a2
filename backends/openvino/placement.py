"""What really runs low: the layers of a file beside the kernels that the runtime took for them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import onnx

from ...profiles.errors import UnsupportedError
from ...profiles.precision import Precision
from ...profiles.words import listed
from ..onnx_graph.inspect import type_name

LEAST_SHARE = 0.5
_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_EXPANDING = ("DequantizeLinear", "Cast")
_INT8 = ("int8", "I8")
_LOW = {Precision.INT8: _INT8, Precision.GIVEN: _INT8, Precision.BF16: ("bf16", "bf16")}
"""What a precision computes in, and how the name of such a kernel ends, say `brgconv_avx512_I8`."""


@dataclass(frozen=True)
class LowLayer:
    """A matrix product or convolution whose weight is stored low: the operator, its names, the weight's name
    and number of elements."""

    operator: str
    names: frozenset[str]
    weight: str
    weights: int


def low_layers(proto: onnx.ModelProto) -> Iterator[LowLayer]:
    """The layers of a file whose weights are stored low."""
    constant = {tensor.name: tensor for tensor in proto.graph.initializer}
    maker = {name: node for node in proto.graph.node for name in node.output if name}
    for node in proto.graph.node:
        if node.op_type not in _PRODUCTS:
            continue
        expanded = node.input[1]
        made = maker.get(expanded)
        stored = constant.get(made.input[0]) if made is not None and made.op_type in _EXPANDING else None
        if stored is not None and type_name(stored) != "float32":
            yield LowLayer(
                operator=node.op_type,
                names=frozenset({node.name, *node.output}),
                weight=stored.name,
                weights=math.prod(stored.dims),
            )


def running(layers: Iterable[LowLayer], kernels: Mapping[str, str]) -> dict[LowLayer, str]:
    """The kernel that computes each layer; a layer that the runtime does not name is left out."""
    found = {}
    for layer in layers:
        told = [kernel for name, kernel in kernels.items() if _is_of(name, layer.names)]
        if told:
            found[layer] = told[0]
    return found


def _is_of(told: str, names: frozenset[str]) -> bool:
    """Whether a name that the runtime tells is one of these, perhaps with what it fused appended."""
    while told:
        if told in names:
            return True
        told = told.rpartition("/")[0]
    return False


def proof(precision: Precision, computed: Mapping[LowLayer, str]) -> tuple[str, ...]:
    """In words, how many of the layers that are stored low run low; nothing where a precision is float's.

    Raises:
        UnsupportedError: most of their weights are computed in float.
    """
    if precision not in _LOW or not computed:
        return ()
    kind, ending = _LOW[precision]
    rest = {layer: kernel for layer, kernel in computed.items() if not kernel.endswith(ending)}
    whole = sum(layer.weights for layer in computed)
    share = 1 - sum(layer.weights for layer in rest) / whole
    if share < LEAST_SHARE and precision is not Precision.GIVEN:
        raise UnsupportedError(
            f"{precision}: OpenVINO computes {100 * share:.0f} % of the weights in {kind}, not those of "
            f"{_operators(rest)}"
        )
    low, all_ = len(computed) - len(rest), len(computed)
    text = (
        f"computed in {kind}: {low} of {all_} matrix products and convolutions, {100 * share:.1f} % of their "
        "weights"
    )
    return (f"{text}; not those of {_operators(rest)}" if rest else text,)


def _operators(layers: Mapping[LowLayer, str]) -> str:
    """The operators of layers, with the kernels that compute them."""
    return listed(sorted({f"{layer.operator} ({kernel})" for layer, kernel in layers.items()}), 3)
