"""Channels of very unequal size made alike between two layers, where nothing in between takes notice.

Eight bits have one step for a whole activation: where one channel is thousands of times larger than another,
the small one is lost, though the layer that reads it may make up for its size. A positive factor goes through
rectifiers and pooling as it is. So what a layer gives is divided by it, channel by channel, and the weights
of the layer that reads it are multiplied (Nagel et al. 2019, arXiv:1906.04721). Factors are powers of two:
all results in float stay the same, bit by bit. It is done only where more than three of the eight bits are
lost; a model without such channels is left as it is.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..network.plain import copied
from ..network.predict import named_outputs
from .channel_paths import CONSUMERS, Path, paths

_LOST_BITS = 3
_SHARE = 0.75  # of a layer's outputs that may lose less than that
_MOST_OCTAVES = 40  # between channels: what is smaller still is nothing
_TOLERANCE = 1e-6


def equalize(model: nn.Module, *args: Tensor, **kwargs: Tensor) -> tuple[str, ...]:
    """Make channels alike in place where that saves bits; returns the layers that read them. The inputs are a
    few samples. Weights must be plain, not computed from others."""
    try:
        ranges = _input_ranges(copied(model), args, kwargs)
    except Exception:  # whatever a user's forward raises: who runs it next tells it
        return ()
    wanted = {name for name, largest in ranges.items() if _loses_bits(model.get_submodule(name), largest)}
    if not wanted:
        return ()
    found = [path for path in paths(model, args, kwargs) if wanted & {*path.readers}]
    trial = copied(model)
    for path in found:
        _apply(trial, path, ranges)
    if not found or not _same(model, trial, args, kwargs):
        return ()
    for path in found:
        _apply(model, path, ranges)
    return tuple(reader for path in found for reader in path.readers)


def _input_ranges(model: nn.Module, args: Any, kwargs: Any) -> dict[str, Tensor]:
    """The largest magnitude of each channel that enters a layer, by the layer's name; none of what runs twice
    or takes other shapes than samples of channels."""
    found: dict[str, Tensor] = {}
    twice: set[str] = set()

    def hook(name: str, axis: int) -> Any:
        def before(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
            if name in found or not inputs or not isinstance(inputs[0], Tensor):
                twice.add(name)
                return
            value = inputs[0].detach().abs()
            axis_ = axis % value.dim()
            found[name] = value.amax([d for d in range(value.dim()) if d != axis_])

        return before

    hooks = [
        layer.register_forward_pre_hook(hook(name, -1 if isinstance(layer, nn.Linear) else 1))
        for name, layer in model.named_modules()
        if isinstance(layer, CONSUMERS) and "weight" in layer._parameters
    ]
    try:
        _outputs(model, args, kwargs)
    finally:
        for one in hooks:
            one.remove()
    return {name: value for name, value in found.items() if name not in twice and value.isfinite().all()}


def _loses_bits(layer: Any, largest: Tensor) -> bool:
    """Whether one step for all channels costs a quarter of the outputs more than three bits, compared with
    one for each channel."""
    weight = input_channels(layer, layer.weight.detach())
    if weight.shape[1] != len(largest):
        return False
    power = weight.double().square()
    one_step = float(largest.max()) ** 2 * power.sum(1)
    own_steps = (power * largest.double().square()).sum(1)
    live = own_steps > 0
    if not live.any():
        return False
    lost = torch.log2(one_step[live] / own_steps[live]) / 2
    return float(lost.quantile(_SHARE)) > _LOST_BITS


def input_channels(layer: Any, weight: Tensor) -> Tensor:
    """A layer's weight as [outputs, input channels], zero where an output does not read a channel; the norm
    of what lies between the two."""
    flat = weight.flatten(2).norm(dim=2) if weight.dim() > 2 else weight
    if isinstance(layer, nn.Linear):
        return flat
    if layer.transposed:  # [inputs, outputs / groups]
        parts = flat.reshape(layer.groups, -1, flat.shape[1]).transpose(1, 2)
    else:
        parts = flat.reshape(layer.groups, -1, flat.shape[1])
    blocks: Tensor = torch.block_diag(*parts)  # type: ignore[no-untyped-call]
    return blocks


def _apply(model: nn.Module, path: Path, ranges: dict[str, Tensor]) -> None:
    largest = torch.stack([ranges[reader] for reader in path.readers if reader in ranges]).amax(0)
    factors = _factors(largest)
    path.scale(model, factors)


def _factors(largest: Tensor) -> Tensor:
    """Powers of two that bring the channels to one size; 1 for those that are nothing."""
    octaves = torch.log2(largest.double())
    live = octaves > octaves.max() - _MOST_OCTAVES
    middle = octaves[live].mean()
    return torch.where(live, torch.exp2(torch.round(octaves - middle)), 1.0).to(largest.dtype)


def _same(model: nn.Module, other: nn.Module, args: Any, kwargs: Any) -> bool:
    for wanted, found in zip(_outputs(model, args, kwargs), _outputs(other, args, kwargs), strict=True):
        if wanted.is_floating_point():
            scale = float(wanted.abs().max()) if wanted.numel() else 0.0
            if not bool(((wanted - found).abs() <= _TOLERANCE * scale).all()):
                return False
    return True


def _outputs(model: nn.Module, args: Any, kwargs: Any) -> list[Tensor]:
    with torch.no_grad():
        return list(named_outputs(model(*args, **kwargs)).values())
