"""Structured pruning: remove whole channels, with everything that hangs on them, by Torch-Pruning.

Each layer loses the same share, so the shapes that are left depend on the structure alone and never on the
weights: a model can be built, measured and reloaded before and after training alike.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
import torch_pruning as tp
from torch import Tensor, nn

from ...profiles.errors import UnsupportedError
from .predict import first_output

ROUND_TO = 8  # channel counts that vector kernels like
_LAYERS = (nn.modules.conv._ConvNd, nn.Linear)


def prune_channels(model: nn.Module, share: float, sample: list[Tensor]) -> None:
    """Remove the share of channels with the smallest weights from each layer, in place.

    The layer that gives the output keeps its width. What is left is a multiple of 8 where that leaves
    anything, and at least one channel. `sample` holds inputs of one or more samples.

    Raises:
        UnsupportedError: Torch-Pruning cannot trace the model, or the pruned model does not run.
    """
    model.eval()
    with torch.no_grad():
        before = first_output(model(*sample)).shape
    try:
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")
            _prune(model, share, sample)
        with torch.no_grad():
            after = first_output(model(*sample)).shape
    except Exception as error:
        raise UnsupportedError(f"channel pruning does not work on this model: {error}") from error
    if after != before:
        shapes = f"{list(before)} became {list(after)}"
        raise UnsupportedError(f"channel pruning would change this model's output: {shapes}")


def _prune(model: nn.Module, share: float, sample: list[Tensor]) -> None:
    last = output_layer(model, sample)
    ratios = {layer: _ratio(_width(layer), share) for layer in model.modules() if isinstance(layer, _LAYERS)}
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    for parameter in model.parameters():
        parameter.requires_grad_(True)  # the dependency graph is read from gradients
    pruner = tp.pruner.BasePruner(
        model,
        tuple(sample),
        importance=tp.importance.GroupMagnitudeImportance(p=2),
        pruning_ratio=share,
        pruning_ratio_dict=ratios,
        ignored_layers=[last],
    )
    pruner.step()
    for name in frozen:
        model.get_parameter(name).requires_grad_(False)


def kept_channels(channels: int, share: float) -> int:
    """How many of `channels` stay: the nearest multiple of 8 where there is one, at least 1."""
    rounded = round(channels * (1 - share) / ROUND_TO) * ROUND_TO
    return min(channels, rounded or max(1, round(channels * (1 - share))))


def _ratio(channels: int, share: float) -> float:
    # Torch-Pruning truncates channels * (1 - ratio): the half keeps it on the wanted side.
    return max(0.0, 1 - (kept_channels(channels, share) + 0.5) / channels)


def _width(layer: Any) -> int:
    return int(layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels)


def output_layer(model: nn.Module, sample: list[Tensor]) -> nn.Module:
    """The convolution or linear layer that runs last."""
    ran: list[nn.Module] = []
    hooks = [
        layer.register_forward_hook(lambda module, inputs, output: ran.append(module))
        for layer in model.modules()
        if isinstance(layer, _LAYERS)
    ]
    try:
        with torch.no_grad():
            model(*sample)
    finally:
        for hook in hooks:
            hook.remove()
    if not ran:
        raise UnsupportedError("the model has no convolution and no linear layer to prune")
    return ran[-1]


def model_size(model: nn.Module, sample: list[Tensor]) -> dict[str, int]:
    """`parameters`, and `macs` (multiply-adds for one sample) of a model."""
    one = tuple(tensor[:1] for tensor in sample)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        macs, _ = tp.utils.count_ops_and_params(model, one)
    model.train(was_training)
    return {"parameters": sum(p.numel() for p in model.parameters()), "macs": int(macs)}
