"""GELU, which files before opset 20 spell out, as the one operator that runtimes have a kernel for."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from .operators import DEFAULT
from .steps import GraphStep, step_of

_ROOT = math.sqrt(2.0)


@dataclass(frozen=True)
class _Graph:
    """Steps by the value that they make, those that read each value, and the values that the model gives."""

    makers: dict[int, GraphStep]
    readers: dict[int, list[GraphStep]]
    kept: frozenset[int]

    def only_reader(self, step: GraphStep, operator: str) -> GraphStep | None:
        """The one step that reads another's result, if it is of this operator."""
        found = self.readers.get(step.results[0], [])
        alone = len(found) == 1 and step.results[0] not in self.kept
        return found[0] if alone and _is(found[0], operator) else None


def with_gelu(steps: Sequence[GraphStep], kept: Collection[int]) -> list[GraphStep]:
    """The steps with GELU in the places where `x / 2 * (1 + erf(x / sqrt(2)))` stands, less those that are
    then read by none; `kept` are the values that the model gives."""
    graph = _indexed(steps, kept)
    fused = dict(filter(None, (_fused(step, graph) for step in steps if _is(step, "Erf"))))
    return _read([fused.get(step.results[0], step) for step in steps], kept) if fused else list(steps)


def _indexed(steps: Sequence[GraphStep], kept: Collection[int]) -> _Graph:
    graph = _Graph({}, {}, frozenset(kept))
    for step in steps:
        graph.makers.update(dict.fromkeys(step.results, step))
        for slot in step.slots:
            graph.readers.setdefault(slot, []).append(step)
    return graph


def _fused(erf: GraphStep, graph: _Graph) -> tuple[int, GraphStep] | None:
    """The value that a GELU gives, and the GELU."""
    x = _scaled(graph.makers.get(erf.slots[0]))
    added = graph.only_reader(erf, "Add")
    if x is None or added is None or _scalar(added) != 1:
        return None
    step, half, by_x = added, 1.0, False
    while (half, by_x) != (0.5, True):
        product = graph.only_reader(step, "Mul")
        if product is None:
            return None
        other = [slot for slot in product.slots if slot != step.results[0]]
        if not other:
            half *= _scalar(product) or 0.0
        elif other == [x] and not by_x:
            by_x = True
        elif not by_x and _is(graph.makers.get(other[0]), "Mul") and graph.makers[other[0]].slots == (x,):
            half, by_x = half * (_scalar(graph.makers[other[0]]) or 0.0), True
        else:
            return None
        if half not in (1.0, 0.5):
            return None
        step = product
    return step.results[0], _gelu(step, x)


def _scaled(step: GraphStep | None) -> int | None:
    """What is divided by the root of two."""
    if step is None or len(step.slots) != 1:
        return None
    by, number = _is(step, "Div") and step.traced == (0,), _scalar(step)
    wanted = _ROOT if by else 1 / _ROOT
    fits = number is not None and (by or _is(step, "Mul")) and math.isclose(number, wanted, rel_tol=1e-4)
    return step.slots[0] if fits else None


def _gelu(last: GraphStep, x: int) -> GraphStep:
    node = replace(last.node, operator="Gelu", domain=DEFAULT, attributes={}, outputs=1)
    plain = step_of(node, [], {})
    return replace(plain, count=1, slots=(x,), traced=(0,), results=last.results)


def _scalar(step: GraphStep) -> float | None:
    """The one number that a step has as a constant."""
    constants = list(step.constants.values())
    return constants[0].item() if len(constants) == 1 and constants[0].numel() == 1 else None


def _is(step: GraphStep | None, operator: str) -> bool:
    return step is not None and (step.node.domain, step.node.operator) == (DEFAULT, operator)


def _read(steps: Sequence[GraphStep], kept: Collection[int]) -> list[GraphStep]:
    """The steps that are read, in their order."""
    needed, found = set(kept), []
    for step in reversed(steps):
        if needed.intersection(step.results):
            needed.update(step.slots)
            found.append(step)
    return found[::-1]
