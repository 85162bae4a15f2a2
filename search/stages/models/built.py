"""What the user's functions build: modules of their own, the same layers each time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from ....profiles.errors import at_place
from ....profiles.guard.user_code import UserCodeError, shown, user_code
from ....profiles.guard.user_place import defined_at
from ....profiles.words import listed
from ...workload.loader import check_arguments
from ..network.plain import copied
from ..network.programs import as_network
from .model_checks import check_types

_SAME = "let it build the same layers for the same arguments"
Shapes = Mapping[str, tuple[int, ...]]


def built_by(function: Callable[..., Any], arguments: Mapping[str, Any], named: str) -> nn.Module:
    """What a function builds with these arguments; `named` is what messages call it.

    It is a copy: what is returned may be, or have parts of, what was returned before and is trained by now.

    Raises:
        UserCodeError: it fails, cannot be called so, or does not return a module.
    """
    check_arguments(function, arguments, named)
    with user_code(named, given=arguments, function=function):
        with at_place(named):
            made: object = as_network(function(**arguments))
        model = copied(made) if isinstance(made, nn.Module) else None
    if model is not None:
        check_types(model, ": ".join(filter(None, (defined_at(function), named))))
        return model
    raise UserCodeError(
        f"{named} did not return a torch module",
        place=defined_at(function),
        found=f"{type(made).__name__} {shown(made)}",
        accepted="a torch.nn.Module",
    )


def shapes_of(model: nn.Module) -> Shapes:
    """Shapes of all parameters and buffers by name."""
    ready = "let the function that builds it return a model that can run: lazy layers have no shapes before"
    with user_code("the weights of the model", function=model, remedy=ready):
        return {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}


def check_as_before(
    before: Shapes, model: nn.Module, what: str, function: object, remedy: str = _SAME
) -> None:
    """Raise UserCodeError where a model has other weights than before: they are kept by name and shape, and
    loaded into what is built later. `what` says who did that."""
    shapes = shapes_of(model)
    differing = [key for key in {**before, **shapes} if before.get(key) != shapes.get(key)]
    if differing:
        raise UserCodeError(
            what,
            place=defined_at(function),
            found=f"{listed(differing)} differ from those before",
            remedy=remedy,
        )
