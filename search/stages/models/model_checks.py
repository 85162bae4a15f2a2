"""Checks of a model against the data that it shall work on."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import nn

from ....profiles.errors import UserError
from ....profiles.guard.user_code import UserCodeError, shown, user_code
from ...workload.metric import Array, Metric
from ...workload.names import A_NAME, is_name
from ...workload.task import Task, are_probabilities
from ...workload.workload import Split
from ..network.predict import predict_all
from ..network.programs import GIVE_MODULE, Program
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
    check_types(model, name)
    try:
        named = predict_all(model, sample, wanted, name=f"{name} on train[:{len(sample)}]")
    except UserCodeError:
        _refuse_one_by_one(model, sample, place)
        raise
    for output, array in named.items():
        if not is_name(output):
            raise UserError(
                "an output of the model has no usable name", place=place, found=shown(output), accepted=A_NAME
            )
        several = f", output {output}" if len(named) > 1 else ""
        check_outputs(array, sample, None if several else metric, place + several, split.labels)
    return named


def check_types(model: nn.Module, name: str) -> None:
    """Raise UserCodeError where weights are not float32: so they are trained, exported and quantized."""
    weights = {key: p for key, p in model.named_parameters() if p.is_floating_point() or p.is_complex()}
    wrong = {key: p.dtype for key, p in weights.items() if p.dtype != torch.float32}
    if wrong:
        key, dtype = next(iter(wrong.items()))
        raise UserCodeError(
            "the model's weights are not all float32",
            place=name,
            found=f"{str(dtype).removeprefix('torch.')} in {key} and {len(wrong) - 1} more",
            accepted="float32: precisions are what the search tries",
            remedy="make the program anew from `model.float()`"
            if isinstance(model, Program)
            else "let the function that builds it return `model.float()`, and the splits have float32",
        )


def check_trainable(model: nn.Module, name: str) -> None:
    """Raise UserError where a model has nothing to train."""
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise UserError(
            "the student has no parameters to train",
            place=name,
            found=f"{sum(1 for _ in model.parameters())} parameters, none of which asks for a gradient",
            remedy="let the builder return a module whose parameters have requires_grad=True",
        )


def _check_forward_arguments(model: nn.Module, split: Split, place: str) -> None:
    parameters = _parameters(model, place)
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


def _refuse_one_by_one(model: nn.Module, sample: Split, place: str) -> None:
    """Raise UserError where a program runs one sample alone: it was made with a batch of one."""
    if not isinstance(model, Program) or len(sample) < 2:
        return
    try:
        predict_all(model, sample.head(1))
    except UserCodeError:
        return
    raise UserError(
        f"the program ({model.kind}) takes one sample at once and no other number",
        place=place,
        accepted="a program whose first axis is free",
        remedy="make it anew from several samples (torch.jit.trace writes sizes of its sample into the "
        f"program where forward reads them), or {GIVE_MODULE}",
    )


def _parameters(model: nn.Module, place: str) -> Collection[inspect.Parameter]:
    if isinstance(model, Program):
        return model.parameters_of_forward
    plain = "give a plain torch.nn.Module: compiled ones cannot be trained, cut or exported"
    with user_code(f"the signature of {place}", function=model, remedy=plain):
        return inspect.signature(model.forward).parameters.values()


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
