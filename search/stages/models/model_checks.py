"""Checks of a model against the data that it shall work on."""

from __future__ import annotations

import inspect

from torch import nn

from ....profiles.errors import UserError
from ...workload.workload import Metric, Split
from ..network.predict import predict
from .output_checks import check_outputs


def check_model(model: nn.Module, split: Split, metric: Metric, name: str) -> tuple[int, ...]:
    """Run `model` on a few samples and return the shape of its output per sample.

    `name` is what messages call the model ("teacher", "student width=0.5").

    Raises:
        UserError: forward fails, or gives something that the metric cannot score.
    """
    sample = split.head(8)
    place = f"{name}, forward on train[:{len(sample)}]"
    _check_forward_arguments(model, sample, place)
    try:
        outputs = predict(model, sample)
    except Exception as error:
        shapes = ", ".join(f"{key} {array.dtype}{list(array.shape)}" for key, array in sample.inputs.items())
        raise UserError(
            f"forward failed: {type(error).__name__}: {error}",
            place=place,
            found=f"inputs {shapes}",
            remedy="make the model and the splits fit each other (shapes without the batch, dtypes)",
        ) from error
    check_outputs(outputs, sample, metric, place)
    return tuple(outputs.shape[1:])


def _check_forward_arguments(model: nn.Module, split: Split, place: str) -> None:
    parameters = inspect.signature(model.forward).parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return
    accepted = [parameter.name for parameter in parameters][: len(split.inputs)]
    needed = [p.name for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    if accepted != list(split.inputs) or len(needed) > len(split.inputs):
        raise UserError(
            "the splits' inputs are not the arguments of the model's forward method",
            place=place,
            found=f"inputs {', '.join(split.inputs)}",
            accepted=", ".join(needed),
            remedy="name the inputs of each Split after the arguments of forward, in the same order",
        )


def check_same_outputs(name: str, shape: tuple[int, ...], teacher: tuple[int, ...]) -> None:
    """Raise UserError where a student's output differs in shape from the teacher's."""
    if shape != teacher:
        raise UserError(
            "the student's output differs in shape from the teacher's",
            place=name,
            found=f"{list(shape)} per sample",
            accepted=f"{list(teacher)} per sample",
            remedy="let the student builder end in a layer like the teacher's last",
        )
