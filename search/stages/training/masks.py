"""Zeros in weights: unstructured and 2:4 masks by magnitude, kept through fine-tuning.

2:4 means that of each four neighbours along the input channels (axis 1 of a convolution's weight, axis 1 of
a linear layer's) at least two are zero: the form that NVIDIA's sparse kernels read. Its mask stands from the
first step of fine-tuning on: growing it was no better (digits, three seeds). Unstructured masks grow, which
was better (there, with four fifths removed: 8.5 % wrong on validation against 11.8 %).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ....profiles.errors import InternalError
from ...record.candidate import Sparsity

RAMP_SHARE = 2 / 3  # of the steps of fine-tuning; in the rest the masks are frozen
RAMP_UPDATES = 30  # how often the masks are found anew while their share grows

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True, kw_only=True)
class Masks:
    """Which weights stay, by parameter name (True: stays), and a sentence for each layer left dense."""

    keep: dict[str, Tensor] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def magnitude_masks(model: nn.Module, sparsity: Sparsity, progress: float = 1.0) -> Masks:
    """Masks that remove the smallest weights of each convolution, linear and recurrent layer.

    `unstructured:R` removes the share R of each layer, or of it the share `progress`; `2:4` removes two of
    each four.
    Layers that cannot have the pattern are left dense and named in the notes, and so are depthwise
    convolutions: they have few weights, and need them (Zhu & Gupta 2017, arXiv:1710.01878, section 4.2).
    """
    keep, notes = {}, []
    for name, weight, depthwise in _weights(model):
        if depthwise:
            notes.append(f"{name} is dense: it is a depthwise convolution, which has few weights")
        elif sparsity.kind == "unstructured":
            keep[name] = _largest(weight, sparsity.share * progress)
        elif weight.shape[1] % 4:
            notes.append(f"{name} is dense: its {weight.shape[1]} inputs are not a multiple of 4")
        else:
            keep[name] = _two_of_four(weight)
    return Masks(keep=keep, notes=tuple(notes))


def _weights(model: nn.Module) -> Iterator[tuple[str, Tensor, bool]]:
    """Weights [outputs, inputs, ...] of convolutions, linear and recurrent layers, projections of attention,
    each with whether it belongs to a depthwise convolution."""
    for name, layer in model.named_modules():
        prefix = f"{name}." if name else ""
        if isinstance(layer, _CONVOLUTIONS):
            yield f"{prefix}weight", layer.weight.detach(), layer.groups == layer.in_channels > 1
        elif isinstance(layer, nn.Linear):
            yield f"{prefix}weight", layer.weight.detach(), False
        elif isinstance(layer, nn.MultiheadAttention) and layer.in_proj_weight is not None:
            yield f"{prefix}in_proj_weight", layer.in_proj_weight.detach(), False
        elif isinstance(layer, nn.RNNBase):
            for own, weight in layer.named_parameters(recurse=False):
                if own.startswith("weight"):
                    yield f"{prefix}{own}", weight.detach(), False


def _largest(weight: Tensor, removed_share: float) -> Tensor:
    keep = torch.ones(weight.numel(), dtype=torch.bool)
    order = weight.abs().flatten().argsort(stable=True)
    removed = min(round(removed_share * weight.numel()), weight.numel() - 1)  # one stays, or nothing passes
    keep[order[:removed]] = False
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


class GradualMasks:
    """Unstructured masks that grow while training runs (Zhu & Gupta 2017, arXiv:1710.01878).

    After t of n steps of the ramp the share is R * (1 - (1 - t/n)^3): most is removed early, while there is
    time to recover. The ramp takes the first two thirds of the `steps`, then the masks are frozen.
    """

    def __init__(self, sparsity: Sparsity, steps: int) -> None:
        self.sparsity, self.ramp_steps = sparsity, math.ceil(steps * RAMP_SHARE)
        self.masks, self.complete = Masks(), False
        self._every = max(1, self.ramp_steps // RAMP_UPDATES)

    def after_step(self, model: nn.Module, done: int) -> None:
        """Keep removed weights at zero, and remove more where it is time; `done` steps were taken in all."""
        if not self.complete and (done >= self.ramp_steps or done % self._every == 0):
            self._grow(model, min(1.0, done / max(1, self.ramp_steps)))
        apply_masks(model, self.masks)

    def finish(self, model: nn.Module) -> None:
        """Remove the whole share at once, where the ramp has not come to its end."""
        if not self.complete:
            self._grow(model, 1.0)
        apply_masks(model, self.masks)

    def _grow(self, model: nn.Module, ramp: float) -> None:
        self.masks = magnitude_masks(model, self.sparsity, 1 - (1 - ramp) ** 3)
        self.complete = ramp == 1

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        return {"keep": self.masks.keep, "notes": list(self.masks.notes), "complete": self.complete}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.masks = Masks(keep=dict(state["keep"]), notes=tuple(state["notes"]))
        self.complete = bool(state["complete"])


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
