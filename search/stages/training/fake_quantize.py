"""Fake quantization: a float model that computes with the rounding that integer runtimes will do.

Weights are rounded to a symmetric grid per output channel, with one step for each channel that follows from
its largest weight. This is the grid that the backends' own quantizers choose by themselves: given weights
that lie on it, they find the same steps and round nothing. Activations are rounded to 8 bits per tensor at
the input of each layer, over the range seen on calibration data (in training: over the range of the batch).
Gradients pass through the rounding unchanged (Bengio et al. 2013, arXiv:1308.3432; Jacob et al. 2018,
arXiv:1712.05877).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ....backends.contract.backend import WEIGHT_LEVELS
from ....profiles.errors import InternalError
from ....profiles.guard.user_code import user_code
from ....profiles.precision import Precision

_ACTIVATION_STEPS = 255
_SMALLEST_STEP = 1e-30

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_ROWS = (*_CONVOLUTIONS, nn.Linear, nn.Embedding)  # outputs on axis 0
_FED = (*_CONVOLUTIONS, *_TRANSPOSED, nn.Linear, nn.MultiheadAttention)  # layers with inputs to round
_ATTENTION_WEIGHTS = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")
_INPUTS = ("input", "query", "key", "value")  # their names, where they are given by name
_QAT_BITS = {
    Precision.INT8: (8, 8),
    Precision.INT8_DYNAMIC: (8, 8),
    Precision.INT16X8: (8, 0),
    Precision.INT8_WEIGHT: (8, 0),
    Precision.INT4_WEIGHT: (4, 0),
}


def qat_bits(precision: Precision) -> tuple[int, int] | None:
    """Bits of weights and of activations (0: float) to train with for a precision, None where there is no
    such training. It knows one step per channel alone, so it is of no use to a candidate quantized per
    tensor."""
    return _QAT_BITS.get(precision)


class WeightGrid(nn.Module):
    """A parametrization that rounds a weight to `levels` steps on each side of zero, by channel of `axis`."""

    def __init__(self, levels: int, axis: int) -> None:
        super().__init__()
        self.levels, self.axis = levels, axis

    def forward(self, weight: Tensor) -> Tensor:
        """The nearest values on the grid, in the shape of `weight`; its gradient is that of `weight`."""
        step = grid_step(weight.detach(), self.levels, self.axis)
        rounded: Tensor = _StraightThrough.apply(weight, step)  # type: ignore[no-untyped-call]
        return rounded


class _StraightThrough(torch.autograd.Function):
    """Rounding to multiples of a step, with the gradient of doing nothing."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, step: Tensor) -> Tensor:
        return torch.round(weight / step) * step

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0], None


def grid_step(weight: Tensor, levels: int, axis: int) -> Tensor:
    """The step of each channel: its largest absolute value over `levels`, 1 for a channel of zeros."""
    others = [dim for dim in range(weight.dim()) if dim != axis]
    largest = weight.abs().amax(dim=others, keepdim=True) if others else weight.abs()
    return torch.where(largest > 0, largest / levels, torch.ones_like(largest))


@dataclass
class InputGrid:
    """A hook that rounds a layer's inputs to 8 bits. While `watching`, it only takes note of their range."""

    low: float = 0.0
    high: float = 0.0
    watching: bool = False

    def __call__(
        self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with the layer's inputs rounded; one tensor given twice stays one tensor."""
        known: dict[int, Any] = {}  # attention asks whether query, key and value are one tensor

        def rounded(value: Any) -> Any:
            if id(value) not in known:
                known[id(value)] = self._rounded(value, layer.training)
            return known[id(value)]

        count = 3 if isinstance(layer, nn.MultiheadAttention) else 1
        inputs = {name: rounded(value) for name, value in kwargs.items() if name in _INPUTS}
        return (*map(rounded, args[:count]), *args[count:]), {**kwargs, **inputs}

    def _rounded(self, value: Any, training: bool) -> Any:
        if not isinstance(value, Tensor) or not value.is_floating_point() or not value.numel():
            return value
        if self.watching:
            self.low = min(self.low, float(value.detach().min()))
            self.high = max(self.high, float(value.detach().max()))
            return value
        if training:
            low, high = (float(v) for v in torch.aminmax(value.detach()))
        else:
            low, high = self.low, self.high
        return _rounded_to_8_bits(value, min(low, 0.0), max(high, 0.0))


def _rounded_to_8_bits(value: Tensor, low: float, high: float) -> Tensor:
    """255 steps over [low, high], one of them at zero; what lies outside is clipped and gets no gradient."""
    step = (high - low) / _ACTIVATION_STEPS
    if not _SMALLEST_STEP < step < math.inf:  # nothing but zeros, or NaN, which the loss will tell
        return value
    zero = round(-low / step)
    return torch.fake_quantize_per_tensor_affine(value, step, zero, 0, _ACTIVATION_STEPS)


class FakeQuantization:
    """Fake quantization switched on in a model, in place, until `bake` ends it.

    Weights of convolutions, linear layers, embeddings, attention's projections and recurrent layers are
    rounded. Activations are rounded at the inputs of all of them but embeddings and recurrent layers (what
    runs inside a recurrent layer, and between attention's own products, stays float). `levels` are the
    backend's `weight_levels`.
    """

    def __init__(
        self,
        model: nn.Module,
        weight_bits: int,
        activation_bits: int,
        levels: Mapping[int, int] = WEIGHT_LEVELS,
    ) -> None:
        if weight_bits not in levels or activation_bits not in (0, 8):
            raise InternalError(f"no grid for {weight_bits}-bit weights, {activation_bits}-bit activations")
        self.model = model
        self._weights = list(_weights(model))
        for layer, name, axis in self._weights:
            parametrize.register_parametrization(layer, name, WeightGrid(levels[weight_bits], axis))
        fed = [layer for layer in model.modules() if isinstance(layer, _FED) and activation_bits]
        self._grids = [InputGrid() for _ in fed]
        self._hooks = [
            layer.register_forward_pre_hook(grid, with_kwargs=True)
            for layer, grid in zip(fed, self._grids, strict=True)
        ]

    def calibrate(self, batches: Iterable[list[Tensor]]) -> None:
        """Take the ranges of activations anew: smallest and largest value over all batches of inputs."""
        if not self._grids:
            return
        for grid in self._grids:
            grid.low, grid.high, grid.watching = 0.0, 0.0, True
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad():
                for inputs in batches:
                    with user_code("forward of the model, fake-quantized", function=self.model, brief=True):
                        self.model(*inputs)
        finally:
            self.model.train(was_training)
            for grid in self._grids:
                grid.watching = False

    def trained_name(self, name: str) -> str:
        """What the parameter `name` of the plain model is called as long as it is rounded."""
        owner, _, attribute = name.rpartition(".")
        if not parametrize.is_parametrized(self.model.get_submodule(owner), attribute):
            return name
        return f"{owner}.parametrizations.{attribute}.original".removeprefix(".")

    @torch.no_grad()
    def bake(self) -> None:
        """Leave a plain float model behind whose weights lie on the grid, in evaluation mode."""
        for hook in self._hooks:
            hook.remove()
        for layer, name, _ in self._weights:
            rounded = getattr(layer, name).clone()
            parametrize.remove_parametrizations(layer, name, leave_parametrized=False)
            getattr(layer, name).copy_(rounded)
            if isinstance(layer, nn.RNNBase):
                layer._init_flat_weights()  # it holds what was computed for its last run
        self.model.eval()


def _weights(model: nn.Module) -> Iterator[tuple[nn.Module, str, int]]:
    """Layer, attribute and axis of outputs of each weight to round, as the runtimes quantize them."""
    for layer in model.modules():
        for name, axis in _layer_weights(layer):
            if layer._parameters.get(name) is not None:
                yield layer, name, axis


def _layer_weights(layer: nn.Module) -> list[tuple[str, int]]:
    if isinstance(layer, _ROWS):
        return [("weight", 0)]
    if isinstance(layer, _TRANSPOSED):
        return [("weight", 1)]
    if isinstance(layer, nn.MultiheadAttention):
        return [(name, 0) for name in _ATTENTION_WEIGHTS]
    if isinstance(layer, nn.RNNBase):
        return [(name, 0) for name, _ in layer.named_parameters(recurse=False) if name.startswith("weight")]
    return []
