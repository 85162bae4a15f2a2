"""What a user's ONNX file is, before anything is made of it: float or quantized, and what could change it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import TensorProto

from ...profiles.precision import Precision
from ...profiles.words import listed
from .subgraphs import all_graphs, all_nodes

# Operators of ONNX and of com.microsoft that compute on integer weights or make integers of floats.
QUANTIZED = re.compile(
    r"^(Quantize|Dequantize|DynamicQuantize|QLinear|QGemm|QAttention|QEmbed|QMoE|"
    r"MatMulInteger|ConvInteger|MatMulNBits|MatMulBnb4|MatMulFpQ4|GatherBlockQuantized)"
)
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)


def quantized_by(proto: onnx.ModelProto) -> str:
    """The operators of a model that is quantized already ("QuantizeLinear (9 times), ..."); empty where it
    is not."""
    functions = (node for function in proto.functions for node in function.node)
    names = (node.op_type for node in (*all_nodes(proto.graph), *functions))
    found = Counter(name for name in names if QUANTIZED.match(name))
    return listed(f"{name} ({count} times)" for name, count in sorted(found.items()))


@dataclass(frozen=True, kw_only=True)
class Given:
    """What an ONNX file holds: what quantized it ("": nothing), and the most axes of its float constants."""

    quantized: str
    largest_rank: int

    def unfit(self, precision: Precision) -> str:
        """Why the model cannot be had at a precision, on whatever backend; empty where it may."""
        if precision is Precision.GIVEN:
            return "" if self.quantized else "the model is not quantized: as it is it is called fp32"
        if self.quantized:
            return (
                f"the model is quantized already ({self.quantized}): it is measured as it is; to search "
                "precisions, hand in the float model that it was made from"
            )
        if self.largest_rank < _least_rank(precision):
            return "the model has no float weights that another precision could change (no neural network?)"
        return ""


def given(path: Path) -> Given:
    """What an ONNX file holds. One that cannot be read fits everything here: whoever runs it reports it."""
    try:
        proto = onnx.load(path, load_external_data=False)
        ranks = [len(dims) for dims in _weights(proto)]
        return Given(quantized=quantized_by(proto), largest_rank=max(ranks, default=0))
    except Exception:  # protobuf's errors have no base class of their own, and its texts may be none
        return Given(quantized="", largest_rank=2)


def _least_rank(precision: Precision) -> int:
    """Axes of a constant that a precision changes: casts take vectors too, quantizers matrices."""
    return 0 if precision is Precision.FP32 else 1 if precision in (Precision.FP16, Precision.BF16) else 2


def _weights(proto: onnx.ModelProto) -> Iterator[Sequence[int]]:
    """Shapes of float constants."""
    for graph in all_graphs(proto.graph):
        yield from (tensor.dims for tensor in graph.initializer if tensor.data_type in _FLOATS)
        yield from (sparse.dims for sparse in graph.sparse_initializer)
    functions = (node for function in proto.functions for node in function.node)
    for node in (*all_nodes(proto.graph), *functions):
        if node.op_type == "Constant":
            yield from (a.t.dims for a in node.attribute if a.name == "value" and a.t.data_type in _FLOATS)
