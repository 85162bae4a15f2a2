"""A cell of NAS-Bench-201 as a graph: what its axes tell without data."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import lru_cache

from paretune.search.record.untrained import UNTOLD, Untrained
from paretune.search.structure.graph import (
    AVERAGE_POOL,
    CONVOLUTION,
    IDENTITY,
    INPUT,
    MAX_POOL,
    SUM,
    ZERO,
    Operation,
    OperationGraph,
)
from paretune.search.structure.simplify import simplified
from paretune.search.structure.told import told_by_simplified

from benchmarks.simulation.recorded import Student

AXIS = re.compile(r"op_(\d+)_(\d+)")
OPERATION = re.compile(r"(none|skip_connect|avg_pool|max_pool|nor_conv)(?:_(\d+)x\2)?")
KINDS = {
    "none": ZERO,
    "skip_connect": IDENTITY,
    "avg_pool": AVERAGE_POOL,
    "max_pool": MAX_POOL,
    "nor_conv": CONVOLUTION,
}
CHANNELS = 16
"""Of the first of the stages that the cell is repeated in."""


@lru_cache(maxsize=65536)
def told_of_cell(student: Student) -> Untrained:
    """By the axes `op_NODE_SOURCE`; nothing where they, or an operation, are none of NAS-Bench-201's."""
    graph = cell(student)
    return _told(simplified(graph)) if graph else UNTOLD


@lru_cache(maxsize=65536)
def _told(graph: OperationGraph) -> Untrained:
    return told_by_simplified(graph)


def cell(student: Student) -> OperationGraph | None:
    """A node is the sum of its edges; node 0 is the input, the last one the result."""
    nodes: dict[int, list[tuple[int, str]]] = defaultdict(list)
    for axis, value in student:
        found = AXIS.fullmatch(axis)
        if not found:
            return None
        nodes[int(found[1])].append((int(found[2]), str(value)))
    operations, places = [Operation(INPUT, channels=CHANNELS)], {0: 0}
    for node in sorted(nodes):
        first = len(operations)
        for source, name in nodes[node]:
            edge = _edge(name, places.get(source, -1), f"{node} {source}")
            if edge is None:
                return None
            operations.append(edge)
        places[node] = len(operations)
        operations.append(Operation(SUM, tuple(range(first, places[node])), channels=CHANNELS))
    return OperationGraph(tuple(operations), (places[max(places)],))


@lru_cache(maxsize=1024)
def _edge(name: str, source: int, weight: str) -> Operation | None:
    """A convolution stands between a ReLU and a norm, whose shift it has."""
    found = OPERATION.fullmatch(name)
    if not found or source < 0:
        return None
    kind, kernel = KINDS[found[1]], int(found[2] or 0)
    if kind != CONVOLUTION:
        return Operation(kind, (source,), kernel=kernel, channels=CHANNELS)
    weights = kernel * kernel * CHANNELS * CHANNELS + 2 * CHANNELS
    return Operation(
        kind, (source,), "relu before, norm after", kernel, 1, CHANNELS, weights, weight, shifts=True
    )
