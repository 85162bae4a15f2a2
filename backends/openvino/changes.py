"""The precisions that OpenVINO wants made otherwise than they are made for others."""

from __future__ import annotations

from collections.abc import Collection
from types import MappingProxyType

import onnx

from ...profiles.precision import Precision
from ..onnx_quantize.quantize import BLOCK, to_int4_weight
from ..onnx_quantize.weights import to_bfloat16, to_int8_weight
from .session import COMPUTES

PRODUCTS = ("Gemm", "MatMul", "Gather")
"""Operators at int8-dynamic: of these alone it quantizes activations as it runs (an embedding has none)."""


def _bf16(proto: onnx.ModelProto, keep: Collection[str]) -> onnx.ModelProto:
    return _computing(to_bfloat16(proto), Precision.BF16)


def _int8_dynamic(proto: onnx.ModelProto, keep: Collection[str]) -> onnx.ModelProto:
    return _computing(to_int8_weight(proto, keep, PRODUCTS), Precision.INT8_DYNAMIC)


def _int4_weight(proto: onnx.ModelProto, keep: Collection[str]) -> onnx.ModelProto:
    """As others have it, but embeddings whose rows are no whole blocks: OpenVINO does not read these."""
    wide = {tensor.name: tensor.dims[-1] % BLOCK == 0 for tensor in proto.graph.initializer if tensor.dims}
    narrow = [n.name for n in proto.graph.node if n.op_type == "Gather" and not wide.get(n.input[0], True)]
    return to_int4_weight(proto, [*keep, *narrow])


def _computing(proto: onnx.ModelProto, precision: Precision) -> onnx.ModelProto:
    proto.metadata_props.add(key=COMPUTES, value=str(precision))
    return proto


OWN = MappingProxyType(
    {
        Precision.BF16: _bf16,
        Precision.INT8_DYNAMIC: _int8_dynamic,
        Precision.INT4_WEIGHT: _int4_weight,
    }
)
