"""Structured pruning: remove whole channels, with everything that hangs on them, by Torch-Pruning.

Each layer loses the same share, so the shapes that are left depend on the structure alone and never on the
weights: a model can be built, measured and reloaded before and after training alike.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any

import torch
import torch_pruning as tp
from torch import Tensor, nn

from ...profiles.errors import UnsupportedError
from .predict import first_output

ROUND_TO = 8  # channel counts that vector kernels like
_MAGNITUDE = tp.importance.GroupMagnitudeImportance(p=2)
_LAYERS = (nn.modules.conv._ConvNd, nn.Linear)


def prunable_layers(model: nn.Module, share: float, sample: list[Tensor]) -> frozenset[str]:
    """Names of the layers that can lose the share of their channels; `model` itself is not changed.

    All but the layer that gives the output, where that works. Some models reshape by sizes written in their
    code (attention by a fixed width of heads): there each layer is tried alone, and those that break the
    model keep their width. `sample` holds inputs of two samples.

    Raises:
        UnsupportedError: there is no such layer.
    """
    names = frozenset(name for name, layer in model.named_modules() if isinstance(layer, _LAYERS))
    last = output_layer(model, sample)
    wanted = frozenset(name for name in names if model.get_submodule(name) is not last)
    failure = _failure(model, share, sample, wanted)
    if failure:
        alone = {name for name in wanted if not _failure(model, share, sample, frozenset({name}))}
        wanted = frozenset(alone)
    if not wanted or (failure and _failure(model, share, sample, wanted)):
        raise UnsupportedError(f"channel pruning does not work on this model: {failure or 'one layer only'}")
    return wanted


def prune_channels(model: nn.Module, share: float, sample: list[Tensor], layers: frozenset[str]) -> None:
    """Remove the share of channels with the smallest weights from the named layers, in place.

    What is left is a multiple of 8 where that leaves anything, and at least one channel.

    Raises:
        UnsupportedError: Torch-Pruning cannot trace the model, or the pruned model does not run.
    """
    failure = _prune(model, share, sample, layers, _MAGNITUDE)
    if failure:
        raise UnsupportedError(f"channel pruning does not work on this model: {failure}")


def _failure(model: nn.Module, share: float, sample: list[Tensor], layers: frozenset[str]) -> str:
    """What goes wrong when a copy is pruned. Some faults show only for some choices of channels, so channels
    are also drawn at random."""
    draws = (_MAGNITUDE, *[tp.importance.RandomImportance()] * 3)
    failures = (_prune(copy.deepcopy(model), share, sample, layers, importance) for importance in draws)
    return next((failure for failure in failures if failure), "")


def _prune(
    model: nn.Module, share: float, sample: list[Tensor], layers: frozenset[str], importance: Any
) -> str:
    """Prune in place; what went wrong, or nothing."""
    model.eval()
    try:
        with torch.no_grad():
            before = first_output(model(*sample)).shape
        with warnings.catch_warnings(), torch.enable_grad():
            warnings.simplefilter("ignore")
            _run_pruner(model, share, sample, layers, importance)
        with torch.no_grad():
            after = first_output(model(*sample)).shape
    except Exception as error:  # Torch-Pruning raises whatever its tracing meets
        return str(error) or type(error).__name__
    return "" if after == before else f"its output {list(before)} would become {list(after)}"


def _run_pruner(
    model: nn.Module, share: float, sample: list[Tensor], layers: frozenset[str], importance: Any
) -> None:
    ratios = {model.get_submodule(name): _ratio(_width(model.get_submodule(name)), share) for name in layers}
    ignored = [m for m in model.modules() if isinstance(m, _LAYERS) and m not in ratios]
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    for parameter in model.parameters():
        parameter.requires_grad_(True)  # the dependency graph is read from gradients
    pruner = tp.pruner.BasePruner(
        model,
        tuple(sample),
        importance=importance,
        pruning_ratio=share,
        pruning_ratio_dict=ratios,
        ignored_layers=ignored,
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
