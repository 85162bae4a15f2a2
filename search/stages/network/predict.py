"""Run a PyTorch model over a split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ....profiles.errors import UnsupportedError
from ...workload.workload import Array, Split


def tensors(inputs: Mapping[str, Array]) -> list[Tensor]:
    """A split's inputs as tensors, in the order of the forward method's arguments."""
    return [torch.from_numpy(np.ascontiguousarray(array)) for array in inputs.values()]


def first_output(output: Any) -> Tensor:
    """The model's first output where it has several.

    Raises:
        TypeError: the output is neither a tensor nor a sequence of them.
    """
    first = output[0] if isinstance(output, (tuple, list)) and output else output
    if not isinstance(first, Tensor):
        raise TypeError(f"forward returned {type(output).__name__}, not a tensor or a tuple of tensors")
    return first


def predict(model: nn.Module, split: Split, batch: int = 256) -> Array:
    """First output of `model`, in evaluation mode, for all samples (axis 0) of a split."""
    was_training = model.training
    model.eval()
    inputs = tensors(split.inputs)
    with torch.no_grad():
        parts = [
            first_output(model(*(tensor[start : start + batch] for tensor in inputs))).numpy()
            for start in range(0, len(split), batch)
        ]
    model.train(was_training)
    return np.concatenate(parts)


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
