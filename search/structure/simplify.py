"""A graph without what changes nothing of what it computes."""

from __future__ import annotations

from .graph import (
    CONSTANT,
    IDENTITY,
    INPUT,
    KEEP_ZERO,
    LINEAR,
    PRODUCT,
    SUM,
    ZERO,
    Operation,
    OperationGraph,
    kept,
)


def simplified(graph: OperationGraph) -> OperationGraph:
    """The same function with fewer operations: none that hands on what it gets, none that works on zero, a
    sum without operands that are zero, nothing that does not reach a result."""
    walk = _Walk()
    for operation in graph.operations:
        walk.place.append(walk.take(operation))
    outputs = tuple(walk.there(place) for place in (walk.place[output] for output in graph.outputs))
    return _reaching(OperationGraph(tuple(walk.made), outputs))


class _Walk:
    """`place` has for each operation of the old graph its place in the new one, None where it is zero."""

    def __init__(self) -> None:
        self.made: list[Operation] = []
        self.place: list[int | None] = []

    def take(self, operation: Operation) -> int | None:
        kind = operation.kind
        if kind == ZERO:
            return None
        operands = [self.place[source] for source in operation.inputs]
        if kind == IDENTITY:
            return operands[0]
        there = [one for one in operands if one is not None]
        if kind == SUM:
            return self._sum(operation, there)
        if len(there) < len(operands):
            return self._of_zero(operation, operands)
        return self._add(operation, there)

    def there(self, place: int | None) -> int:
        return self._make(Operation(ZERO)) if place is None else place

    def _sum(self, operation: Operation, operands: list[int]) -> int | None:
        if len(operands) > 1:
            return self._add(operation, operands)
        return operands[0] if operands else None

    def _of_zero(self, operation: Operation, operands: list[int | None]) -> int | None:
        if operation.kind == PRODUCT or operation.kind in KEEP_ZERO:
            return None
        if operation.kind in LINEAR and operation.weight:
            if not operation.shifts:
                return None
            return self._make(Operation(CONSTANT, channels=operation.channels, weight=operation.weight))
        return self._add(operation, [self.there(one) for one in operands])

    def _add(self, operation: Operation, operands: list[int]) -> int:
        return self._make(operation._replace(inputs=tuple(operands)))

    def _make(self, operation: Operation) -> int:
        self.made.append(operation)
        return len(self.made) - 1


def _reaching(graph: OperationGraph) -> OperationGraph:
    """Without what does not reach a result; inputs stay, since they are part of what a function is."""
    reaching = set(graph.outputs)
    for place in range(len(graph.operations) - 1, -1, -1):
        if place in reaching:
            reaching.update(graph.operations[place].inputs)
    places = [p for p, one in enumerate(graph.operations) if p in reaching or one.kind == INPUT]
    return graph if len(places) == len(graph.operations) else kept(graph, places)
