"""One node of an ONNX graph as a step of a PyTorch module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .operators import Function, Node, found

Array = np.ndarray[Any, Any]
# Operators whose constants are weights: they become modules, so that weights have names in what is converted.
_WEIGHTED = ("Conv", "ConvTranspose", "Linear", "Embedding", "LSTM", "GRU", "RNN", "Einsum")
_SHAPING = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose")


@dataclass(frozen=True)
class Traced:
    """A value that depends on the model's input: its number, and what it is for the sample."""

    slot: int
    sample: Tensor


Value = Traced | Array | None
"""What a name of a graph stands for while the module is built; None: an input that was left out."""


@dataclass(frozen=True, kw_only=True)
class GraphStep:
    """A function of values that were computed before. `slots` are those at its `traced` positions;
    `constants` are tensors by position, `known` what the function takes as arrays."""

    node: Node
    function: Function
    count: int
    slots: tuple[int, ...]
    traced: tuple[int, ...]
    constants: Mapping[int, Tensor]
    known: Mapping[int, Array]
    results: list[int] = field(default_factory=list)

    def run(self, values: Sequence[Tensor], constants: Mapping[int, Tensor]) -> tuple[Tensor, ...]:
        """The outputs for the values at the traced positions."""
        given: list[Any] = [None] * self.count
        for position, value in zip(self.traced, values, strict=True):
            given[position] = value
        for position, tensor in constants.items():
            given[position] = tensor
        for position, array in self.known.items():
            given[position] = array
        outputs = self.function(self.node, *given)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    @property
    def shapes(self) -> bool:
        """Whether it gives its input another shape and does nothing else."""
        return self.node.operator in _SHAPING and self.traced[:1] == (0,)

    @property
    def weighted(self) -> bool:
        """Whether it holds weights."""
        return self.node.operator in _WEIGHTED and bool(self.constants)


class StepModule(nn.Module):
    """A step with its constants."""

    def __init__(self, step: GraphStep) -> None:
        super().__init__()
        self.step = step
        for position, tensor in step.constants.items():
            self.register_buffer(f"constant{position}", tensor)

    def forward(self, *values: Tensor) -> Any:
        """One tensor, or several."""
        constants = {position: getattr(self, f"constant{position}") for position in self.step.constants}
        outputs = self.step.run(values, constants)
        return outputs if len(outputs) > 1 else outputs[0]


def step_of(node: Node, inputs: Sequence[Value], tensors: Mapping[int, Tensor]) -> GraphStep:
    """The step that a node is. `tensors` holds those that were made of constants, by the array's identity.

    Raises:
        UnsupportedError: nothing stands for the operator, or an input that must be known is not.
    """
    operator = found(node)
    traced, slots, constants, known = [], [], {}, {}
    for position, value in enumerate(inputs):
        if isinstance(value, Traced):
            if position in operator.static:
                raise node.refused(f"its input {position + 1} depends on the model's input")
            traced.append(position)
            slots.append(value.slot)
        elif value is not None and position in operator.static:
            known[position] = value
        elif value is not None:
            constants[position] = tensors[id(value)] if id(value) in tensors else tensor_of(node, value)
    return GraphStep(
        node=node,
        function=operator.function,
        count=len(inputs),
        slots=tuple(slots),
        traced=tuple(traced),
        constants=constants,
        known=known,
    )


def tensor_of(node: Node, array: Array) -> Tensor:
    """A constant as a tensor; float64 has no counterpart behind PyTorch.

    Raises:
        UnsupportedError: PyTorch has no such type.
    """
    try:
        return torch.from_numpy(np.array(array, np.float32 if array.dtype == np.float64 else array.dtype))
    except TypeError as error:
        raise node.refused(f"it has a constant of type {array.dtype}") from error
