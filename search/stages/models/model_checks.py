"""Checks of a model against the data that it shall work on."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence

from torch import nn

from ....profiles.errors import UserError
from ...workload.metric import Array, Metric
from ...workload.task import Task, are_probabilities
from ...workload.workload import Split
from ..network.predict import predict_all
from .output_checks import check_outputs


def check_model(
    model: nn.Module, split: Split, metric: Metric, name: str, wanted: str | Sequence[str] | None = None
) -> dict[str, Array]:
    """Run `model` on a few samples and return its outputs for them by name.

    `name` is what messages call the model ("teacher", "student width=0.5"), `wanted` as of `named_outputs`.

    Raises:
        UserError: forward fails, or gives something that the metric cannot score.
    """
    sample = split.head(8)
    place = f"{name}, forward on train[:{len(sample)}]"
    _check_forward_arguments(model, sample, place)
    try:
        named = predict_all(model, sample, wanted)
    except Exception as error:
        shapes = ", ".join(f"{key} {array.dtype}{list(array.shape)}" for key, array in sample.inputs.items())
        raise UserError(
            f"forward failed: {type(error).__name__}: {error}",
            place=place,
            found=f"inputs {shapes}",
            remedy="make the model and the splits fit each other (shapes without the batch, dtypes)",
        ) from error
    for output, array in named.items():
        several = f", output {output}" if len(named) > 1 else ""
        check_outputs(array, sample, None if several else metric, place + several, split.labels)
    return named


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


def check_same_outputs(
    name: str, student: Mapping[str, Array], teacher: Mapping[str, Array], primary: str, task: Task | None
) -> None:
    """Raise UserError where a student's outputs differ from the teacher's in names or shapes, or where one
    of both gives probabilities. The arrays are outputs for a few samples."""
    shapes, wanted = (
        {output: list(array.shape[1:]) for output, array in named.items()} for named in (student, teacher)
    )
    if shapes != wanted:
        raise UserError(
            "the student's output differs in shape from the teacher's",
            place=name,
            found=f"{_listed(shapes)} per sample",
            accepted=f"{_listed(wanted)} per sample",
            remedy="let the student builder end in a layer like the teacher's last",
        )
    if task is None or not task.has_classes:
        return
    given = are_probabilities(task.name, task.class_axis, student[primary])
    if given != task.probabilities:
        kinds = {True: "probabilities", False: "logits"}
        raise UserError(
            "the student's outputs are of another kind than the teacher's",
            place=name,
            found=kinds[given],
            accepted=kinds[task.probabilities],
            remedy="end both in softmax, or neither of them",
        )


def _listed(shapes: Mapping[str, list[int]]) -> str:
    if len(shapes) == 1:
        return str(next(iter(shapes.values())))
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())
