"""A network as a graph of operations, without the values of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

INPUT, SUM, PRODUCT, IDENTITY, ZERO, CONSTANT = "input", "sum", "product", "identity", "zero", "constant"
CONVOLUTION, DEPTHWISE, DENSE, MATMUL, EMBEDDING = "conv", "depthwise", "linear", "matmul", "embedding"
AVERAGE_POOL, MAX_POOL, MEAN = "avg_pool", "max_pool", "mean"
RECURRENT, OTHER = "recurrent", "other"
RELU, POINTWISE, NORM, MOVED, CONCAT = "relu", "pointwise", "norm", "moved", "concat"
WEIGHT, FIXED = "weight", "fixed"
"""Tensors that are trained, and that are not: operations without operands."""
ADDITIVE = frozenset({AVERAGE_POOL, MEAN})
"""Kinds whose result for a sum is the sum of their results."""
KEEP_ZERO = ADDITIVE | {MAX_POOL, RELU}
"""Kinds without weights that make zero of zero."""
LINEAR = frozenset({CONVOLUTION, DEPTHWISE, DENSE})
"""Kinds with weights that make zero of zero, or a learned constant where they shift."""
COMMUTATIVE = frozenset({SUM, PRODUCT})
"""Kinds whose operands have no order. Both take operands of one shape, which is the result's."""
EACH_VALUE = frozenset({INPUT, SUM, PRODUCT, RELU, POINTWISE, NORM, MOVED, CONCAT})
"""Kinds that work on each value alone or only move values; all others mix them."""
LOCAL = frozenset({CONVOLUTION, DEPTHWISE, AVERAGE_POOL, MAX_POOL})
"""Kinds that see `kernel` neighbours of a value."""


class Operation(NamedTuple):
    """One operation of a network.

    `inputs` are the places of its operands in the graph, all before its own. `settings` holds everything else
    that decides what is computed. `kernel` (0: has none) and `stride` are the largest over the axes,
    `channels` are those of the result. `weights` is the number of trained weights and `weight` names them:
    operations of one name share them, those of another have their own. `shifts`: a learned constant is added,
    so that zero does not stay zero.
    """

    kind: str
    inputs: tuple[int, ...] = ()
    settings: str = ""
    kernel: int = 0
    stride: int = 1
    channels: int = 0
    weights: int = 0
    weight: str = ""
    shifts: bool = False


class OperationGraph(NamedTuple):
    """Operations in an order in which they can be run, and the places of those that are the results."""

    operations: tuple[Operation, ...]
    outputs: tuple[int, ...]


def kept(graph: OperationGraph, places: Sequence[int]) -> OperationGraph:
    """The graph of these operations alone, which lack no operand."""
    new = {old: place for place, old in enumerate(places)}
    operations = graph.operations
    return OperationGraph(
        tuple(
            one._replace(inputs=tuple(new[i] for i in one.inputs))
            for one in map(operations.__getitem__, places)
        ),
        tuple(new[output] for output in graph.outputs),
    )
