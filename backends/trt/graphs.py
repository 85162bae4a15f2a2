"""The ONNX graph that TensorRT gets for each precision, in the flavour that its typing rules ask for."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...profiles.errors import UnsupportedError
from ...profiles.precision import Precision
from ..contract.backend import CalibrationData, CompileSettings
from .cast import at_opset, to_bfloat16, to_float16
from .qdq import find_sites, insert_pairs
from .ranges import activation_ranges, fold

if TYPE_CHECKING:
    import onnx

CALIBRATION_BATCH = 32
QUANTIZED = (Precision.INT8, Precision.FP8)


def graph_for(
    model: onnx.ModelProto,
    settings: CompileSettings,
    calibration: CalibrationData | None,
    *,
    weakly_typed: bool,
    newest_opset: int,
) -> onnx.ModelProto:
    """The graph for one build.

    Weakly typed builds get float32 graphs and choose precisions by flags; strongly typed builds get graphs
    that carry the types. Quantized graphs have pairs of either kind (see `qdq.py`).

    Raises:
        UnsupportedError: the model is quantized already, uses newer operators, or has nothing to quantize.
        ValueError: calibration data is missing.
    """
    if any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in model.graph.node):
        raise UnsupportedError("trt: the model is quantized already; hand over the float model")
    if settings.precision in QUANTIZED:
        return _quantized(model, settings, calibration, weakly_typed, newest_opset)
    graph = at_opset(model, 13, newest_opset)
    if weakly_typed or settings.precision is Precision.FP32:
        return graph
    return to_float16(graph) if settings.precision is Precision.FP16 else to_bfloat16(graph)


def _quantized(
    model: onnx.ModelProto,
    settings: CompileSettings,
    calibration: CalibrationData | None,
    weakly_typed: bool,
    newest_opset: int,
) -> onnx.ModelProto:
    from ..onnx_graph.layers import name_nodes

    if calibration is None:
        raise ValueError(f"{settings.precision} needs calibration data")
    # Pairs take float16 scales and fp8 only from operator set 19 on.
    lowest = 13 if weakly_typed and settings.precision is Precision.INT8 else 19
    with tempfile.TemporaryDirectory() as folder:
        graph = name_nodes(fold(at_opset(model, lowest, newest_opset), Path(folder)))
    # fp8 has range enough for one scale per tensor, and that is all that every kernel supports.
    per_channel = settings.per_channel and settings.precision is Precision.INT8
    sites = find_sites(graph, per_channel=per_channel)
    if not any(site.weight for site in sites):
        raise UnsupportedError(
            f"trt: {settings.precision} would change nothing: no layer has constant weights"
        )
    activations = [site.tensor for site in sites if not site.weight]
    batch = static_batch(graph) or CALIBRATION_BATCH
    ranges = activation_ranges(graph, activations, calibration, settings.calibration_method, batch)
    paired = insert_pairs(graph, sites, ranges, settings.precision)
    return paired if weakly_typed else to_float16(paired)


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
        size = int(np.prod(tensor.dims, dtype=np.int64)) * helper.tensor_dtype_to_np_dtype(kind).itemsize
        totals[name] = totals.get(name, 0) + size
    return totals
