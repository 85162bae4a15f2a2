"""What a file with pairs of quantize and dequantize means to run in whole numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class QdqStep:
    """An operator of a graph and the tensors that it reads and makes; constants are not among them.

    `opens`: it makes floats of whole numbers. `closes`: it makes whole numbers of floats. `kept`: it is a
    product whose weight was left in float on purpose.
    """

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    opens: bool = False
    closes: bool = False
    kept: bool = False


def between(steps: Sequence[QdqStep]) -> set[str]:
    """The names of the steps that lie between dequantizing and quantizing: all that they read comes, through
    such steps alone, from what dequantizes, and what they make goes, through such steps alone, to what
    quantizes. A runtime that has no integer kernel for one runs it in float, with two conversions around.

    The steps are in the order in which they run.
    """
    fed, candidates = set[str](), list[QdqStep]()
    for step in steps:
        if step.opens:
            fed.update(step.outputs)
        elif not step.closes and not step.kept and step.inputs and fed.issuperset(step.inputs):
            fed.update(step.outputs)
            candidates.append(step)
    drained = _read_by(step for step in steps if step.closes)
    found = set[str]()
    for step in reversed(candidates):
        if not drained.isdisjoint(step.outputs):
            drained.update(step.inputs)
            found.add(step.name)
    return found


def _read_by(steps: Iterable[QdqStep]) -> set[str]:
    return {name for step in steps for name in step.inputs}
