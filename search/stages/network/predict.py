"""Run a PyTorch model over a split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ....profiles.errors import UnsupportedError
from ....profiles.guard.user_code import user_code
from ...workload.workload import Array, Split

FITTING = "make the model and the splits fit each other (shapes without the batch, dtypes)"
OUTPUT = "output"
"""What the one output of a model is called; several are `output_0`, `output_1`, ..."""


def tensors(inputs: Mapping[str, Array]) -> list[Tensor]:
    """A split's inputs as tensors, in the order of the forward method's arguments."""
    return [torch.from_numpy(np.ascontiguousarray(array)) for array in inputs.values()]


def named_outputs(returned: Any, wanted: str | Sequence[str] | None = None) -> dict[str, Tensor]:
    """All outputs of a model by name: a mapping's own names, `output` for one tensor, and for several in a
    tuple or list the `wanted` ones where they are as many, else `output_0`, `output_1`, ...; what is nested
    in a mapping has both names.

    Raises:
        TypeError: something in it is no tensor, or there is nothing.
    """
    if isinstance(returned, (tuple, list)) and len(returned) == 1:
        returned = returned[0]
    if isinstance(returned, (tuple, list)) and _renames(wanted, len(returned)):
        returned = dict(zip(wanted or (), returned, strict=True))
    named = isinstance(returned, Mapping)
    found = dict(_flat(returned, "" if named else OUTPUT))
    if not found:
        raise TypeError(f"forward returned {type(returned).__name__} without any tensor")
    return found


def _renames(wanted: str | Sequence[str] | None, count: int) -> bool:
    """Whether these are new names for so many outputs, and not a choice among the plain ones."""
    if wanted is None or isinstance(wanted, str) or len(wanted) != count:
        return False
    return not set(wanted) <= {f"{OUTPUT}_{number}" for number in range(count)}


def _flat(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}_{key}" if name else str(key))
    elif isinstance(value, (tuple, list)):
        for number, inner in enumerate(value):
            yield from _flat(inner, f"{name}_{number}")
    elif value is not None:  # models of libraries leave out what they were not asked for
        raise TypeError(f"forward returned {type(value).__name__}, not tensors alone")


def first_output(output: Any) -> Tensor:
    """The model's first output where it has several.

    Raises:
        TypeError: see `named_outputs`.
    """
    return next(iter(named_outputs(output).values()))


def predict_all(
    model: nn.Module,
    split: Split,
    wanted: str | Sequence[str] | None = None,
    batch: int = 256,
    name: str = "the model",
) -> dict[str, Array]:
    """All outputs of `model` by name, in evaluation mode, for all samples (axis 0) of a split; names as
    `named_outputs` gives them. `name` is what messages call the model.

    Raises:
        UserCodeError: forward fails, or returns something else than tensors.
    """
    was_training = model.training
    model.eval()
    inputs = dict(zip(split.inputs, tensors(split.inputs), strict=True))
    with torch.no_grad():
        parts = [
            # A copy: what a forward pass does to its inputs in place must not reach the data.
            _forward(model, {n: t[start : start + batch].clone() for n, t in inputs.items()}, wanted, name)
            for start in range(0, len(split), batch)
        ]
    model.train(was_training)
    with user_code(f"putting the outputs of {name} over all batches together", function=model):
        return {output: np.concatenate([part[output] for part in parts]) for output in parts[0]}


def _forward(
    model: nn.Module, inputs: Mapping[str, Tensor], wanted: str | Sequence[str] | None, name: str
) -> dict[str, Array]:
    with user_code(f"forward of {name}", given=inputs, function=model, remedy=FITTING, brief=True):
        found = named_outputs(model(*inputs.values()), wanted)
        if any(tensor.ndim == 0 for tensor in found.values()):
            raise TypeError("forward returned a single number for all samples, not one row for each")
        return {output: tensor.detach().cpu().numpy() for output, tensor in found.items()}


def predict(model: nn.Module, split: Split, batch: int = 256) -> Array:
    """First output of `model`, in evaluation mode, for all samples (axis 0) of a split."""
    return next(iter(predict_all(model, split, batch=batch).values()))


def output_layer(model: nn.Module, sample: list[Tensor]) -> nn.Module:
    """The convolution or linear layer that runs last.

    Raises:
        UnsupportedError: there is none.
    """
    ran: list[nn.Module] = []
    kinds = (nn.modules.conv._ConvNd, nn.Linear)
    hooks = [
        layer.register_forward_hook(lambda module, inputs, output: ran.append(module))
        for layer in model.modules()
        if isinstance(layer, kinds)
    ]
    try:
        with torch.no_grad(), user_code("forward of the model", function=model):
            first_output(model(*sample))
    finally:
        for hook in hooks:
            hook.remove()
    if not ran:
        raise UnsupportedError("the model has no convolution and no linear layer to prune")
    return ran[-1]
