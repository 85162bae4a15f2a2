"""Run a PyTorch model over a split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ....profiles.errors import UnsupportedError
from ...workload.workload import Array, Split

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
    model: nn.Module, split: Split, wanted: str | Sequence[str] | None = None, batch: int = 256
) -> dict[str, Array]:
    """All outputs of `model` by name, in evaluation mode, for all samples (axis 0) of a split; names as
    `named_outputs` gives them."""
    was_training = model.training
    model.eval()
    inputs = tensors(split.inputs)
    with torch.no_grad():
        parts = [
            named_outputs(model(*(tensor[start : start + batch] for tensor in inputs)), wanted)
            for start in range(0, len(split), batch)
        ]
    model.train(was_training)
    return {name: np.concatenate([part[name].numpy() for part in parts]) for name in parts[0]}


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
        with torch.no_grad():
            first_output(model(*sample))
    finally:
        for hook in hooks:
            hook.remove()
    if not ran:
        raise UnsupportedError("the model has no convolution and no linear layer to prune")
    return ran[-1]
