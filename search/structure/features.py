"""What a graph tells as a few numbers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from math import log, log1p
from typing import NamedTuple

from .graph import EACH_VALUE, INPUT, LOCAL, Operation, OperationGraph

FEATURES = {
    "longest_path": "most layers (they mix values, and have weights) on a path from an input to a result",
    "shortest_path": "fewest layers on such a path: 0 where something is handed through",
    "mean_path": "layers on such a path, the mean over all of them",
    "paths": "log(1 + number of paths); 0 where the result does not depend on an input",
    "layers": "log(1 + number of layers that lie on any path)",
    "operations": "log(1 + number of operations that mix values, with weights or without, on any path)",
    "width": "the largest number of such operations that are equally far from the inputs",
    "receptive_field": "log of the positions of an axis that one sees through convolutions and pools alone",
    "path_weights": "log(1 + trained weights on a path), the mean over all paths being taken before",
    "share_KIND": "how much of the operations that mix values is of this kind and kernel: share_conv3",
    "place_KIND": "that share times where they stand on average: -1 first, 0 in the middle, 1 last",
}
"""All features by name. One that a graph does not have, since it has no operation of that KIND, is 0."""


class _Paths(NamedTuple):
    """Over all paths from the inputs up to an operation, itself included: how many, the most and the fewest
    layers, the sums of layers and of weights, the operations before it on the longest, what it sees of an
    input, and how far apart its positions lie there."""

    paths: int
    longest: int
    shortest: int
    layers: int
    weights: int
    before: int
    field: int
    jump: int


def features(graph: OperationGraph) -> dict[str, float]:
    """Numbers by the names of `FEATURES` for a graph that was simplified; all are finite."""
    operations = graph.operations
    ways = _ways(operations)
    after = _after(graph)
    live = [p for p, (way, far) in enumerate(zip(ways, after, strict=True)) if way is not None and far >= 0]
    mixing = [p for p in live if operations[p].kind not in EACH_VALUE]
    ends = [way for output in graph.outputs if (way := ways[output]) is not None]
    return {
        **_of_paths(ends),
        **_of_operations(operations, mixing),
        **_kinds(operations, ways, after, mixing),
    }


def _ways(operations: Sequence[Operation]) -> list[_Paths | None]:
    """None where no input has a say."""
    ways: list[_Paths | None] = []
    for operation in operations:
        if operation.kind == INPUT:
            ways.append(_Paths(1, 0, 0, 0, 0, 0, 1, 1))
            continue
        before = [way for source in operation.inputs if (way := ways[source]) is not None]
        ways.append(_joined(operation, before) if before else None)
    return ways


def _joined(operation: Operation, before: Sequence[_Paths]) -> _Paths:
    layer, jump = _is_layer(operation), max(way.jump for way in before)
    paths = sum(way.paths for way in before)
    return _Paths(
        paths=paths,
        longest=max(way.longest for way in before) + layer,
        shortest=min(way.shortest for way in before) + layer,
        layers=sum(way.layers for way in before) + layer * paths,
        weights=sum(way.weights for way in before) + operation.weights * paths,
        before=max(way.before for way in before) + (operation.kind not in EACH_VALUE),
        field=max(way.field for way in before) + (operation.kernel - 1) * jump * (operation.kind in LOCAL),
        jump=jump * operation.stride,
    )


def _is_layer(operation: Operation) -> bool:
    return operation.weights > 0 and operation.kind not in EACH_VALUE


def _after(graph: OperationGraph) -> list[int]:
    """The most operations that mix on a way from each operation to a result, -1 where there is no way."""
    after = [-1] * len(graph.operations)
    for output in graph.outputs:
        after[output] = 0
    for place in range(len(after) - 1, -1, -1):
        if after[place] >= 0:
            operation = graph.operations[place]
            far = after[place] + (operation.kind not in EACH_VALUE)
            for source in operation.inputs:
                after[source] = max(after[source], far)
    return after


def _of_paths(ends: Sequence[_Paths]) -> dict[str, float]:
    paths = sum(way.paths for way in ends)
    return {
        "longest_path": float(max((way.longest for way in ends), default=0)),
        "shortest_path": float(min((way.shortest for way in ends), default=0)),
        "mean_path": sum(way.layers for way in ends) / max(paths, 1),
        "paths": log(1 + paths),
        "receptive_field": log(max((way.field for way in ends), default=1)),
        "path_weights": log1p(sum(way.weights for way in ends) / max(paths, 1)),
    }


def _of_operations(operations: Sequence[Operation], mixing: Sequence[int]) -> dict[str, float]:
    return {"layers": log1p(sum(_is_layer(operations[p]) for p in mixing)), "operations": log1p(len(mixing))}


def _kinds(
    operations: Sequence[Operation],
    ways: Sequence[_Paths | None],
    after: Sequence[int],
    mixing: Sequence[int],
) -> dict[str, float]:
    """The width, and the share and place of each kind."""
    places: dict[str, list[float]] = defaultdict(list)
    levels: Counter[int] = Counter()
    for place in mixing:
        operation, way, far = operations[place], ways[place], after[place]
        before = way.before - 1 if way else 0
        levels[before] += 1
        kind = f"{operation.kind}{operation.kernel}" if operation.kind in LOCAL else operation.kind
        places[kind].append((before - far) / max(before + far, 1))
    found = {"width": float(max(levels.values(), default=0))}
    for kind, where in sorted(places.items()):
        found[f"share_{kind}"] = len(where) / len(mixing)
        found[f"place_{kind}"] = sum(where) / len(mixing)
    return found
