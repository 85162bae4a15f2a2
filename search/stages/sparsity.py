"""Zeros in weights: unstructured and 2:4 masks by magnitude, kept through fine-tuning.

2:4 means that of each four neighbours along the input channels (axis 1 of a convolution's weight, axis 1 of
a linear layer's) at least two are zero: the form that NVIDIA's sparse kernels read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from ...profiles.errors import InternalError
from ..candidate import Sparsity

_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)


@dataclass(frozen=True, kw_only=True)
class Masks:
    """Which weights stay, by parameter name (True: stays), and a sentence for each layer left dense."""

    keep: dict[str, Tensor] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def magnitude_masks(model: nn.Module, sparsity: Sparsity) -> Masks:
    """Masks that remove the smallest weights of each convolution and linear layer.

    `unstructured:R` removes the share R of each layer; `2:4` removes two of each four. Layers that cannot
    have the pattern are left dense and named in the notes.
    """
    keep, notes = {}, []
    for name, weight in _weights(model):
        if sparsity.kind == "unstructured":
            keep[name] = _largest(weight, sparsity.share)
        elif weight.shape[1] % 4:
            notes.append(f"{name} is dense: its {weight.shape[1]} inputs are not a multiple of 4")
        else:
            keep[name] = _two_of_four(weight)
    return Masks(keep=keep, notes=tuple(notes))


def _weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Weights [outputs, inputs, ...] of convolutions, linear layers and attention's projections."""
    for name, layer in model.named_modules():
        prefix = f"{name}." if name else ""
        if isinstance(layer, _LAYERS):
            yield f"{prefix}weight", layer.weight.detach()
        elif isinstance(layer, nn.MultiheadAttention) and layer.in_proj_weight is not None:
            yield f"{prefix}in_proj_weight", layer.in_proj_weight.detach()


def _largest(weight: Tensor, removed_share: float) -> Tensor:
    keep = torch.ones(weight.numel(), dtype=torch.bool)
    order = weight.abs().flatten().argsort(stable=True)
    keep[order[: round(removed_share * weight.numel())]] = False
    return keep.view_as(weight)


def _two_of_four(weight: Tensor) -> Tensor:
    inputs_last = weight.abs().movedim(1, -1)
    groups = inputs_last.reshape(-1, 4)
    keep = torch.zeros_like(groups, dtype=torch.bool)
    keep.scatter_(1, groups.argsort(dim=1, descending=True, stable=True)[:, :2], True)
    return keep.view_as(inputs_last).movedim(-1, 1).contiguous()


@torch.no_grad()
def apply_masks(model: nn.Module, masks: Masks) -> None:
    """Set the removed weights to zero, in place."""
    for name, keep in masks.keep.items():
        model.get_parameter(name).mul_(keep)


def check_masks(model: nn.Module, masks: Masks) -> dict[str, float]:
    """Share of zeros in each masked weight.

    Raises:
        InternalError: a weight that was removed is not zero.
    """
    shares = {}
    for name, keep in masks.keep.items():
        weight = model.get_parameter(name).detach()
        if torch.count_nonzero(weight[~keep]):
            raise InternalError(f"sparsity: removed weights of {name} came back")
        shares[name] = 1 - torch.count_nonzero(weight).item() / weight.numel()
    return shares
