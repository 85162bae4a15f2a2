"""What a user's ONNX file is, before anything is made of it: float or quantized, and what could change it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import onnx
from onnx import TensorProto

from ...profiles.words import listed
from ..contract.backend import ONNX
from ..contract.given import Given
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


def given(path: Path) -> Given:
    """What an ONNX file holds. One that cannot be read fits everything here: whoever runs it reports it."""
    try:
        proto = onnx.load(path, load_external_data=False)
        ranks = [len(dims) for dims in _weights(proto)]
        return _held(quantized_by(proto), max(ranks, default=0))
    except Exception:  # protobuf's errors have no base class of their own, and its texts may be none
        return _held("", 2)


def _held(quantized: str, largest_rank: int) -> Given:
    return Given(quantized=quantized, largest_rank=largest_rank, source_format=ONNX, title="ONNX")


def _weights(proto: onnx.ModelProto) -> Iterator[Sequence[int]]:
    """Shapes of float constants."""
    for graph in all_graphs(proto.graph):
        yield from (tensor.dims for tensor in graph.initializer if tensor.data_type in _FLOATS)
        yield from (sparse.dims for sparse in graph.sparse_initializer)
    functions = (node for function in proto.functions for node in function.node)
    for node in (*all_nodes(proto.graph), *functions):
        if node.op_type == "Constant":
            yield from (a.t.dims for a in node.attribute if a.name == "value" and a.t.data_type in _FLOATS)
