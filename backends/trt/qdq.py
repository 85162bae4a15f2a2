"""Explicit quantization for TensorRT: QuantizeLinear/DequantizeLinear pairs in an ONNX graph.

Two flavours are needed (sources: TensorRT's documentation on explicit quantization and the ONNX parser):

* G32, for weakly typed builds: everything float32, float32 scales, opset 13 to 17 or later;
* G16, for strongly typed builds: the same graph cast to float16 with float16 scales, opset 19 or later.

Both are symmetric on weights and activations with explicit zero points of 0, keep biases in float, and keep
weights in float followed by a pair, which the builder folds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...profiles.precision import Precision
from ..contract.backend import Array

if TYPE_CHECKING:
    import onnx

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
LARGEST = {Precision.INT8: 127.0, Precision.FP8: 448.0}  # of int8 and float8 E4M3
# A scale below this is a subnormal float16: it would lose its digits in the G16 flavour.
SMALLEST_SCALE = 2.0**-20


@dataclass(frozen=True, kw_only=True)
class Site:
    """One operand to quantize: input `index` of `node`; `axis` is None for one scale per tensor."""

    node: str
    index: int
    tensor: str
    weight: bool
    axis: int | None = None

    @property
    def pair(self) -> str:
        """What its pair is called: operands that share one have the same."""
        return self.tensor if self.axis is None else f"{self.tensor}_axis{self.axis}"


def find_sites(model: onnx.ModelProto, *, per_channel: bool, keep: Collection[str] = ()) -> tuple[Site, ...]:
    """Every operand worth quantizing: of layers with constant weights, and both sides of residual additions.

    Nodes must have names of their own; those in `keep` stay float, as do sums of what they make. MatMul of
    two activations (attention) stays float: its softmax operand uses half of a symmetric range.
    """
    from ..onnx_graph.layers import Graph

    graph = Graph(model)
    weights = {name: len(tensor.dims) for name, tensor in graph.constant.items()}
    sites: list[Site] = []
    for node in graph.nodes:
        if node.name in keep or any(maker.name in keep for maker in _added(node, graph.maker)):
            continue
        if node.op_type in WEIGHTED and weights.get(node.input[1], 0) >= 2 and node.input[0] not in weights:
            axis = weight_axis(node, weights[node.input[1]]) if per_channel else None
            sites.append(Site(node=node.name, index=0, tensor=node.input[0], weight=False))
            sites.append(Site(node=node.name, index=1, tensor=node.input[1], weight=True, axis=axis))
        elif is_residual(node, graph.maker, weights):
            sites += [Site(node=node.name, index=i, tensor=node.input[i], weight=False) for i in (0, 1)]
    return tuple(sites)


def _added(node: onnx.NodeProto, made_by: Mapping[str, onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Nodes whose results an addition adds."""
    return [made_by[name] for name in node.input if name in made_by] if node.op_type == "Add" else []


def weight_axis(node: onnx.NodeProto, rank: int) -> int | None:
    """The axis of a weight along which output channels run; None where one scale must do."""
    numbers = {a.name: a.i for a in node.attribute}
    if node.op_type == "ConvTranspose":
        return 1 if numbers.get("group", 1) == 1 else None  # grouped: axis 1 is shared between groups
    if node.op_type == "Conv" or (node.op_type == "Gemm" and numbers.get("transB", 0)):
        return 0
    return rank - 1


def is_residual(
    node: onnx.NodeProto, made_by: Mapping[str, onnx.NodeProto], constants: Collection[str]
) -> bool:
    """Whether a node adds two activations, one of them made by a convolution: the end of a residual block."""
    if node.op_type != "Add" or node.input[0] == node.input[1] or any(n in constants for n in node.input):
        return False
    return any(made_by[n].op_type in ("Conv", "ConvTranspose") for n in node.input if n in made_by)


def insert_pairs(
    model: onnx.ModelProto, sites: tuple[Site, ...], ranges: Mapping[str, float], precision: Precision
) -> onnx.ModelProto:
    """The G32 graph: a copy of `model` with a pair in front of every site.

    `ranges` maps activations to their largest magnitude; weights carry their own. `precision` is int8 or fp8.
    """
    import onnx

    quantized = onnx.ModelProto()
    quantized.CopyFrom(model)
    weights = {t.name: onnx.numpy_helper.to_array(t) for t in model.graph.initializer}
    wanted: dict[str, list[Site]] = {}
    for site in sites:
        wanted.setdefault(site.node, []).append(site)
    nodes: list[onnx.NodeProto] = []
    done: set[str] = set()
    for node in quantized.graph.node:
        for site in wanted.get(node.name, ()):
            node.input[site.index] = f"{site.pair}_dq"
            if site.pair not in done:
                done.add(site.pair)
                largest = _magnitudes(weights[site.tensor], site.axis) if site.weight else ranges[site.tensor]
                constants, pair = _pair(site, np.asarray(largest, dtype=np.float32), precision)
                quantized.graph.initializer.extend(constants)
                nodes += pair
        nodes.append(node)
    ordered = onnx.GraphProto(node=nodes)  # copies: clearing the list would empty nodes that it owns
    del quantized.graph.node[:]
    quantized.graph.node.extend(ordered.node)
    return quantized


def _magnitudes(weight: Array, axis: int | None) -> Array:
    """Largest |w| of each output channel, or of the whole tensor."""
    others = None if axis is None else tuple(i for i in range(weight.ndim) if i != axis)
    largest: Array = np.abs(weight).max(axis=others)
    return largest


def _pair(
    site: Site, largest: Array, precision: Precision
) -> tuple[list[onnx.TensorProto], list[onnx.NodeProto]]:
    """Scale and zero point, and the two nodes that read them."""
    from onnx import TensorProto, helper, numpy_helper

    # A channel of zeros has no range: any positive scale represents it.
    scale = np.where(largest > 0, np.maximum(largest / LARGEST[precision], SMALLEST_SCALE), 1.0)
    kind = TensorProto.INT8 if precision is Precision.INT8 else TensorProto.FLOAT8E4M3FN
    # The byte 0 is the number 0 in both types.
    zero = helper.make_tensor(f"{site.pair}_zero", kind, scale.shape, bytes(scale.size), raw=True)
    constants = [numpy_helper.from_array(scale.astype(np.float32), f"{site.pair}_scale"), zero]
    along: dict[str, Any] = {} if site.axis is None else {"axis": site.axis}
    q, dq, read = f"{site.pair}_q", f"{site.pair}_dq", [tensor.name for tensor in constants]
    return constants, [
        helper.make_node("QuantizeLinear", [site.tensor, *read], [q], name=q, **along),
        helper.make_node("DequantizeLinear", [q, *read], [dq], name=dq, **along),
    ]
