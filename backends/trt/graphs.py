"""The ONNX graph that TensorRT gets for each precision, in the flavour that its typing rules ask for."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...profiles.errors import UnsupportedError
from ...profiles.precision import Precision
from ..contract.backend import CalibrationData, CompileSettings, LayerGroup
from .cast import at_opset, to_bfloat16, to_float16
from .int4 import find_products, insert_int4
from .layers import KIND, layers_of
from .qdq import Site, find_sites, insert_pairs
from .ranges import activation_ranges, fold

if TYPE_CHECKING:
    import onnx

    from ..onnx_graph.layers import Layer

CALIBRATION_BATCH = 32
QUANTIZED = tuple(KIND)
_INT4_OPSET = 21  # the first operator set that has int4


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """What the graphs of one model at one precision have in common.

    `base` is the float graph. Where the precision is quantized, `layers` are its layers with weights, and
    `ranges` the largest magnitude of each activation among the operands.
    """

    base: onnx.ModelProto
    precision: Precision
    weakly_typed: bool
    per_channel: bool = False
    layers: tuple[Layer, ...] = ()
    ranges: Mapping[str, float] = field(default_factory=dict)

    @property
    def reached(self) -> tuple[Layer, ...]:
        """The layers that the precision changes."""
        return tuple(layer for layer in self.layers if self.precision in layer.reached_by)

    def sites(self, keep: Collection[str] = ()) -> tuple[Site, ...]:
        """Operands to quantize where the nodes `keep` stay float."""
        return _sites(self.base, self.precision, self.per_channel, keep)

    def graph(self, keep: Collection[str] = ()) -> onnx.ModelProto:
        """The graph for one build, in which the nodes `keep` stay float."""
        if self.precision not in QUANTIZED:
            return self._float()
        sites = self.sites(keep)
        if self.precision is Precision.INT4_WEIGHT:
            small = insert_int4(self.base, sites)
        else:
            small = insert_pairs(self.base, sites, self.ranges, self.precision)
        return small if self.weakly_typed else to_float16(small)

    def _float(self) -> onnx.ModelProto:
        if self.weakly_typed or self.precision is Precision.FP32:
            return self.base
        return to_float16(self.base) if self.precision is Precision.FP16 else to_bfloat16(self.base)


def blueprint_for(
    model: onnx.ModelProto,
    settings: CompileSettings,
    calibration: CalibrationData | None,
    *,
    weakly_typed: bool,
    newest_opset: int,
) -> Blueprint:
    """How to make the graphs for builds.

    Weakly typed builds get float32 graphs and choose precisions by flags; strongly typed builds get graphs
    that carry the types. Quantized graphs have pairs of either kind (see `qdq.py`), or int4 weights.

    Raises:
        UnsupportedError: the model is quantized already, uses newer operators, or has nothing to quantize.
        ValueError: calibration data is missing.
    """
    if any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in model.graph.node):
        raise UnsupportedError("trt: the model is quantized already; hand over the float model")
    if settings.precision in QUANTIZED:
        return _quantized(model, settings, calibration, weakly_typed, newest_opset)
    base = at_opset(model, 13, newest_opset)
    return Blueprint(base=base, precision=settings.precision, weakly_typed=weakly_typed)


def _quantized(
    model: onnx.ModelProto,
    settings: CompileSettings,
    calibration: CalibrationData | None,
    weakly_typed: bool,
    newest_opset: int,
) -> Blueprint:
    precision = settings.precision
    calibrated = precision.decoded.calibrated
    if calibrated and calibration is None:
        raise ValueError(f"{precision} needs calibration data")
    graph = at_opset(folded(model), *_opsets(precision, weakly_typed, newest_opset))
    # fp8 has range enough for one scale per tensor, and that is all that every kernel supports.
    per_channel = settings.per_channel and precision is Precision.INT8
    sites = _sites(graph, precision, per_channel)
    if not any(site.weight for site in sites):
        raise UnsupportedError(f"trt: {precision} would change nothing: {_NOTHING[precision]}")
    ranges: Mapping[str, float] = {}
    if calibrated and calibration is not None:
        activations = [site.tensor for site in sites if not site.weight]
        batch = static_batch(graph) or CALIBRATION_BATCH
        ranges = activation_ranges(graph, activations, calibration, settings.calibration_method, batch)
    return Blueprint(
        base=graph,
        precision=precision,
        weakly_typed=weakly_typed,
        per_channel=per_channel,
        layers=layers_of(graph, precision, sites),
        ranges=ranges,
    )


_NOTHING = {
    Precision.INT8: "no layer has constant weights",
    Precision.FP8: "no layer has constant weights",
    Precision.INT4_WEIGHT: "no matrix product has constant weights that divide into blocks of 8 to 32",
}


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The float model that quantized graphs are made of: constants folded, every node named."""
    from ..onnx_graph.layers import name_nodes

    named = type(model).FromString(model.SerializeToString())
    with tempfile.TemporaryDirectory() as folder:
        return name_nodes(fold(name_nodes(named), Path(folder)))


def _opsets(precision: Precision, weakly_typed: bool, newest: int) -> tuple[int, int]:
    """The oldest and the newest operator set that a quantized graph may name."""
    if precision is Precision.INT4_WEIGHT:  # a parser that knows int4 reads it
        return _INT4_OPSET, max(newest, _INT4_OPSET)
    # Pairs take float16 scales and fp8 only from operator set 19 on.
    return 13 if weakly_typed and precision is Precision.INT8 else 19, newest


def _sites(
    graph: onnx.ModelProto, precision: Precision, per_channel: bool, keep: Collection[str] = ()
) -> tuple[Site, ...]:
    if precision is Precision.INT4_WEIGHT:
        return find_products(graph, keep)
    return find_sites(graph, per_channel=per_channel, keep=keep)


def groups(model: onnx.ModelProto, precision: Precision) -> tuple[LayerGroup, ...]:
    """Groups of layers that can be kept in float one by one; see `Backend.layers`."""
    from ..onnx_graph.layers import layer_groups

    graph = folded(model)
    return layer_groups(graph, precision, layers_of(graph, precision, _sites(graph, precision, False)))


def static_batch(model: onnx.ModelProto) -> int:
    """The batch that the model is fixed to; 0 where it is free."""
    constants = {tensor.name for tensor in model.graph.initializer}
    for value in model.graph.input:
        dims = value.type.tensor_type.shape.dim
        if value.name not in constants and dims and dims[0].HasField("dim_value"):
            return int(dims[0].dim_value)
    return 0


def edge_dtypes(model: onnx.ModelProto) -> tuple[dict[str, str], dict[str, str]]:
    """numpy dtype names of inputs and outputs, by name."""
    from onnx import helper

    constants = {tensor.name for tensor in model.graph.initializer}

    def names(values: list[onnx.ValueInfoProto]) -> dict[str, str]:
        kinds = {v.name: v.type.tensor_type.elem_type for v in values if v.name not in constants}
        return {name: np.dtype(helper.tensor_dtype_to_np_dtype(kind)).name for name, kind in kinds.items()}

    return names(list(model.graph.input)), names(list(model.graph.output))


def weight_bytes(model: onnx.ModelProto) -> dict[str, int]:
    """Bytes of constants by storage type; a weight behind QuantizeLinear counts as what it becomes."""
    from onnx import TensorProto, helper

    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    stored, zero_points = dict(kinds), set()
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and len(node.input) > 2:
            zero_points.add(node.input[2])
            if node.op_type == "QuantizeLinear" and node.input[0] in kinds:
                stored[node.input[0]] = kinds[node.input[2]]
    totals: dict[str, int] = {}
    for tensor in model.graph.initializer:
        if tensor.name in zero_points:  # all 0: the plan has none
            continue
        kind = stored[tensor.name]
        name = "float8" if kind == TensorProto.FLOAT8E4M3FN else helper.tensor_dtype_to_np_dtype(kind).name
        bits = 4 if kind == TensorProto.INT4 else 8 * helper.tensor_dtype_to_np_dtype(kind).itemsize
        size = (math.prod(tensor.dims) * bits + 7) // 8
        totals[name] = totals.get(name, 0) + size
    return totals
