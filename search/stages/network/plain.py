"""Copies of networks, and weights that are stored as they are used.

Weight norm, spectral norm and other parametrizations compute a weight from others whenever the model runs.
Nothing can be cut out of such a weight, so it is replaced by its value; what the model computes stays.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm, remove_spectral_norm
from torch.nn.utils.weight_norm import WeightNorm, remove_weight_norm


def copied(model: nn.Module) -> nn.Module:
    """A copy of a model that shares none of its weights.

    Weights that were computed in a forward pass are copied as values. What cannot be copied at all (locks,
    open files) is shared: a model is not refused for it.
    """
    memo: dict[int, Any] = {id(tensor): tensor.detach().clone() for tensor in _computed(model)}
    try:
        return copy.deepcopy(model, dict(memo))
    except Exception:  # whatever an attribute raises
        return _copied_by_parts(model, memo)


def plain_weights(model: nn.Module) -> nn.Module:
    """Replace each weight that is computed from others by its value, in place; returns the model."""
    for module in list(model.modules()):
        if parametrize.is_parametrized(module):
            _as_values(module)
        for hook in list(module._forward_pre_hooks.values()):
            _remove(module, hook)
    return model


def _computed(model: nn.Module) -> Iterator[Tensor]:
    """Tensors among the attributes of modules that are results of other tensors."""
    for module in model.modules():
        for value in vars(module).values():
            if isinstance(value, Tensor) and not value.is_leaf:
                yield value


def _copied_by_parts(model: nn.Module, memo: dict[int, Any]) -> nn.Module:
    """Each module's attributes one by one; those that cannot be copied are those of the original."""
    modules = list(model.modules())
    for module in modules:
        memo[id(module)] = type(module).__new__(type(module))
    for module in modules:
        made = vars(memo[id(module)])
        for name, value in vars(module).items():
            try:
                made[name] = copy.deepcopy(value, memo)
            except Exception:  # whatever an attribute raises
                made[name] = value
    copy_of_model: nn.Module = memo[id(model)]
    return copy_of_model


def _as_values(module: nn.Module) -> None:
    """As `parametrize.remove_parametrizations`, which takes the property away from copies as well."""
    kept: dict[str, tuple[Tensor, bool, bool]] = {}
    parametrizations: Any = module.parametrizations
    with torch.no_grad():
        for name, stored in parametrizations.items():
            first = getattr(stored, "original", None)
            first = stored.original0 if first is None else first
            value = getattr(module, name).detach().clone()
            kept[name] = value, isinstance(first, nn.Parameter), first.requires_grad
    module.__class__ = type(module).__bases__[0]
    del module._modules["parametrizations"]
    for name, (value, trained, grows) in kept.items():
        if trained:
            module.register_parameter(name, nn.Parameter(value, requires_grad=grows))
        else:
            module.register_buffer(name, value)


def _remove(module: nn.Module, hook: Any) -> None:
    """Take one of PyTorch's older reparametrizations away, which are hooks."""
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        if isinstance(hook, WeightNorm):
            remove_weight_norm(module, hook.name)
        elif isinstance(hook, SpectralNorm):
            remove_spectral_norm(module, hook.name)
        elif isinstance(hook, BasePruningMethod):
            hook.remove(module)
            own = module._forward_pre_hooks
            for key in [key for key, found in own.items() if found is hook]:
                del own[key]
