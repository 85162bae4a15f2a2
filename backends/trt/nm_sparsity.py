"""Checks 2:4 sparsity in an ONNX graph: at most two of every four neighbours along the inputs are not zero.

TensorRT uses its 2:4 kernels only where this holds along the input channels of a convolution (axis 1) or the
inner axis of a matrix product; elsewhere SPARSE_WEIGHTS is a silent no-op.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...profiles.words import listed
from ..contract.backend import Array

if TYPE_CHECKING:
    import onnx

    from ..onnx_graph.layers import Graph

_TRANSPARENT = ("QuantizeLinear", "DequantizeLinear", "Cast", "Identity")


@dataclass(frozen=True, kw_only=True)
class LayerSparsity:
    """One layer with constant weights: whether they are 2:4, and if not, why ("" if they are)."""

    node: str
    reason: str

    @property
    def qualifies(self) -> bool:
        """Whether 2:4 kernels may run this layer."""
        return not self.reason


def check_nm_sparsity(model: onnx.ModelProto) -> tuple[LayerSparsity, ...]:
    """Every Conv, Gemm and MatMul with a constant weight, in graph order.

    Looks through Cast, Identity, Transpose and quantization pairs between the weight and the layer.
    """
    from ..onnx_graph.layers import Graph

    graph, report = Graph(model), []
    for node in graph.nodes:
        if node.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        weight = _weight(node.input[1], graph)
        if weight is not None and weight.ndim >= 2:
            report.append(LayerSparsity(node=node.name, reason=_reason(node, weight)))
    return tuple(report)


def sparsity_summary(layers: tuple[LayerSparsity, ...]) -> str:
    """One sentence: how many layers qualify and what stops the first of the others."""
    good = [layer for layer in layers if layer.qualifies]
    text = f"2:4 sparsity: {len(good)} of {len(layers)} weighted layer(s) qualify"
    others = [f"{layer.node} ({layer.reason})" for layer in layers if not layer.qualifies]
    return text + (f"; not {listed(others, 4)}" if others else "")


def _weight(name: str, graph: Graph) -> Array | None:
    """The constant behind a tensor, as the layer sees its values; None for activations."""
    from onnx import numpy_helper

    if name in graph.constant:
        return np.asarray(numpy_helper.to_array(graph.constant[name])).astype(np.float32)
    node = graph.maker.get(name)
    if node is None or node.op_type not in (*_TRANSPARENT, "Transpose"):
        return None
    found = _weight(node.input[0], graph)
    if found is None or node.op_type != "Transpose":
        return found
    order = next((list(a.ints) for a in node.attribute if a.name == "perm"), None)
    return np.transpose(found, order)


def _reason(node: onnx.NodeProto, weight: Array) -> str:
    numbers = {a.name: a.i for a in node.attribute}
    if node.op_type == "Conv" or (node.op_type == "Gemm" and numbers.get("transB", 0)):
        axis = 1
    else:
        axis = weight.ndim - 2
    length = weight.shape[axis]
    if length % 4:
        return f"{length} inputs are not a multiple of 4"
    groups = np.moveaxis(weight, axis, -1).reshape(-1, 4)
    over = int((np.count_nonzero(groups, axis=1) > 2).sum())
    return f"{over} of {len(groups)} groups of four have more than two weights" if over else ""
