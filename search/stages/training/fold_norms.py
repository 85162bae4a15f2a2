"""BatchNorm folded into the layer before it, so that the weights trained are those that are exported.

Exporters and runtimes fold them anyway: a grid trained on weights before folding would be lost by it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ....profiles.errors import InternalError
from ....profiles.guard.user_code import user_code
from ..network.plain import copied
from ..network.predict import first_output

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_LAYERS = (*_CONVOLUTIONS, *_TRANSPOSED, nn.Linear)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
# Folding reorders products in float32, which costs some 1e-6 of the largest output.
_TOLERANCE = 1e-4

Pair = tuple[str, str]
"""Names of a layer and of the BatchNorm that takes its output, and nothing else does."""


def fold_norms(model: nn.Module, sample: list[Tensor]) -> tuple[Pair, ...]:
    """Fold in place every BatchNorm that can be; returns the pairs of layer and norm.

    A norm whose layer's output is read elsewhere too, that comes before its layer, or that runs more often
    than the layer stays as it is. Outputs on `sample` (inputs of a few samples) are compared with before.
    """
    pairs = norm_pairs(model, sample)
    if not _keeps_outputs(model, pairs, sample):
        pairs = tuple(pair for pair in pairs if _keeps_outputs(model, (pair,), sample))
    fold(model, pairs)
    return pairs


def norm_pairs(model: nn.Module, sample: list[Tensor]) -> tuple[Pair, ...]:
    """Layers whose output, unchanged, is what a BatchNorm takes, found by running the model.

    Whether something else reads that output too cannot be seen here.
    """
    watch = _Watch()
    hooks = [layer.register_forward_hook(watch.hook(name)) for name, layer in model.named_modules()]
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), user_code("forward of the model", function=model):
            model(*sample)
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    return tuple(pair for pair in watch.pairs if watch.alone(pair) and _foldable(model, pair))


@dataclass
class _Watch:
    """What ran, how often, and whose output each norm took."""

    runs: Counter[str] = field(default_factory=Counter)
    pairs: Counter[Pair] = field(default_factory=Counter)
    outputs: dict[int, tuple[str, Tensor, int]] = field(default_factory=dict)

    def hook(self, name: str) -> Any:
        def after(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if isinstance(layer, _LAYERS):
                self.runs[name] += 1
                # In-place operators give the same tensor with another version. Holding it keeps its id.
                self.outputs[id(output)] = (name, output, output._version)
            elif type(layer) in _NORMS:  # subclasses may do more, an activation say
                self.runs[name] += 1
                source, _, version = self.outputs.get(id(inputs[0]), ("", None, -1))
                if source and inputs[0]._version == version:
                    self.pairs[source, name] += 1

        return after

    def alone(self, pair: Pair) -> bool:
        """Whether the two only ever ran one after the other."""
        return self.pairs[pair] == self.runs[pair[0]] == self.runs[pair[1]]


def _foldable(model: nn.Module, pair: Pair) -> bool:
    layer: Any = model.get_submodule(pair[0])
    norm: Any = model.get_submodule(pair[1])
    plain = "weight" in layer._parameters  # not made from others (weight norm) at each run
    return plain and norm.running_mean is not None and norm.num_features == _outputs(layer)


def _outputs(layer: Any) -> int:
    return int(layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels)


def _keeps_outputs(model: nn.Module, pairs: tuple[Pair, ...], sample: list[Tensor]) -> bool:
    before = copied(model).eval()
    after = copied(before)
    try:
        fold(after, pairs)
        with torch.no_grad():
            wanted, found = (first_output(each(*sample)) for each in (before, after))
    except RuntimeError:  # shapes that do not fit: the norm's channels are not the layer's outputs
        return False
    scale = float(wanted.abs().max())
    return bool((wanted - found).abs().max() <= _TOLERANCE * scale + 1e-6)


@torch.no_grad()
def fold(model: nn.Module, pairs: tuple[Pair, ...]) -> None:
    """Take each norm into its layer in place: the layer gets a bias, the norm becomes an Identity.

    Raises:
        InternalError: the model has no such pair.
    """
    for name, norm_name in pairs:
        layer: Any = model.get_submodule(name)
        norm: Any = model.get_submodule(norm_name)
        if not isinstance(layer, _LAYERS) or type(norm) not in _NORMS:
            raise InternalError(f"{norm_name} cannot be folded into {name}: {norm} after {layer}")
        _fold(layer, norm)
        parent, _, attribute = norm_name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, nn.Identity())


def _fold(layer: Any, norm: Any) -> None:
    """weight' = weight * g, bias' = (bias - mean) * g + shift with g = scale / sqrt(variance + eps)."""
    gain = torch.rsqrt(norm.running_var + norm.eps)
    if norm.weight is not None:
        gain = gain * norm.weight
    shift = norm.bias if norm.bias is not None else torch.zeros_like(gain)
    bias = layer.bias if layer.bias is not None else torch.zeros_like(gain)
    layer.weight.copy_(_scaled(layer, gain))
    folded = (bias - norm.running_mean) * gain + shift
    layer.bias = nn.Parameter(folded.to(layer.weight.dtype))


def _scaled(layer: Any, gain: Tensor) -> Tensor:
    weight: Tensor = layer.weight
    if not isinstance(layer, _TRANSPOSED):
        return weight * gain.view(-1, *[1] * (weight.dim() - 1))
    # [inputs, outputs / groups, ...]: the inputs of a group lie together, and so do its outputs.
    groups = layer.groups
    parts = weight.reshape(groups, -1, *weight.shape[1:])
    gains = gain.view(groups, 1, -1, *[1] * (weight.dim() - 2))
    return (parts * gains).reshape(weight.shape)
