"""Whether the parts of a workload are what they should be, before any of them is called."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from ...profiles.errors import UserError
from ...profiles.guard.user_code import shown, user_code
from ...profiles.words import joined
from ..record.limits import TAKEN_NAMES
from .metric import Metric
from .names import A_NAME, is_name
from .workload import Split, Splits, Workload

_FUNCTIONS = {
    "splits": "a function that returns a paretune.Splits: `splits=load` or `splits=lambda: data`",
    "teacher": "a function that builds the model: `teacher=Net` or `teacher=lambda: model`; "
    "a file goes to `model`",
    "student": "a function of the study's student axes that builds a model: "
    "`student=lambda width: Net(width)`",
    "train_teacher": "a function of the model and the splits that trains it in place",
}


def checked_parts(workload: Workload, reference: str) -> Workload:
    """The workload, if its parts are what they should be; behind its attributes are their values alone.

    Raises:
        UserError: one is not, or two of them exclude each other; `reference` is the place that it names.
    """
    with user_code(f"reading the attributes of the workload of {reference}"):
        workload = Workload(**{one.name: getattr(workload, one.name) for one in fields(Workload)})
    _check_values(workload, reference)
    given = [part for part in ("teacher", "model", "onnx") if getattr(workload, part) is not None]
    if len(given) != 1:
        raise UserError(
            "a workload has either `teacher` or `model`",
            place=reference,
            found=joined(given) or "neither",
            remedy="give a function that builds the trained model, or the path of the model's file",
        )
    if workload.onnx is not None:
        check_untrained(workload, reference, "ONNX")
    _check_functions(workload, reference)
    return replace(
        workload, options=dict(workload.options), metric=_checked_metric(workload.metric, reference)
    )


def plain_splits(given: object, name: str) -> Splits:
    """What `splits` returned, with nothing behind its attributes but their values.

    Raises:
        UserError: it is no Splits.
    """
    if not issubclass(type(given), Splits):
        raise UserError(
            "`splits` did not return a Splits",
            place=f"workload {name}",
            found=shown(given),
            accepted="paretune.Splits(train=..., calibration=..., validation=..., test=...)",
        )
    with user_code(f"reading what `splits` of workload {name} returned"):
        return Splits(**{one.name: _plain_split(getattr(given, one.name)) for one in fields(Splits)})


def _plain_split(given: Any) -> Any:
    if not issubclass(type(given), Split) or not isinstance(given.inputs, Mapping):
        return given
    return Split(inputs=dict(given.inputs), labels=given.labels)


def _check_values(workload: Workload, place: str) -> None:
    """Those that are no functions."""
    outputs: object = workload.outputs
    several = isinstance(outputs, Sequence) and bool(outputs) and all(isinstance(o, str) for o in outputs)
    loss, options = workload.loss, workload.options
    named_loss = loss is None or isinstance(loss, str) or callable(loss)
    plain_options = isinstance(options, Mapping) and all(isinstance(key, str) for key in options)
    for part, right, accepted in (
        ("name", is_name(workload.name), A_NAME),
        ("task", workload.task is None or isinstance(workload.task, str), "the name of a task"),
        ("outputs", outputs is None or several, "the name of an output, or a list of such names"),
        ("loss", named_loss, "a function of outputs, labels and teacher's outputs, or the name of a task"),
        ("options", plain_options, "a mapping from names to plain values"),
        ("model", _is_path(workload.model), "the path of a file, or leave it out and give `teacher`"),
        ("onnx", _is_path(workload.onnx), "the path of a file"),
    ):
        _require(right, part, getattr(workload, part), accepted, place)


def _is_path(value: object) -> bool:
    return value is None or (isinstance(value, (str, os.PathLike)) and isinstance(os.fspath(value), str))


def check_untrained(workload: Workload, reference: str, title: str) -> None:
    """Raise UserError where a model that exists only as a file comes with what trains one."""
    needless = [part for part in ("student", "train_teacher") if getattr(workload, part) is not None]
    if needless:
        raise UserError(
            f"a model that exists only as {title} cannot be trained: `{needless[0]}` has no use",
            place=reference,
            remedy="remove it, or give `teacher` in place of the file",
        )


def _require(right: bool, part: str, value: object, accepted: str, place: str) -> None:
    if not right:
        raise UserError(
            f"`{part}` of the workload cannot be used", place=place, found=shown(value), accepted=accepted
        )


def _check_functions(workload: Workload, place: str) -> None:
    """What is no function where one is called would fail much later, far from its place."""
    for part, accepted in _FUNCTIONS.items():
        given: object = getattr(workload, part)
        with user_code(f"looking at `{part}` of the workload of {place}"):
            # A module can be called, too.
            built = hasattr(given, "forward") and not isinstance(given, type)
        if built or not (callable(given) or (given is None and part != "splits")):
            raise UserError(
                f"`{part}` of the workload is no function",
                place=place,
                found=f"{type(given).__name__} {shown(given)}",
                accepted=accepted,
            )


def _checked_metric(metric: object, place: str) -> Metric:
    """The metric, with nothing behind its attributes but their values."""
    if not issubclass(type(metric), Metric):
        raise UserError(
            "`metric` of the workload is no metric",
            place=place,
            found=type(metric).__name__,
            accepted="the name of a built-in one, or paretune.Metric(name=..., function=...)",
        )
    with user_code(f"reading the attributes of the metric of {place}"):
        plain = Metric(**{one.name: getattr(metric, one.name) for one in fields(Metric)})
    function: object = plain.function
    for part, right, accepted in (
        ("metric.name", is_name(plain.name), A_NAME),
        ("metric.name", plain.name not in TAKEN_NAMES, "a name that Paretune has no other meaning for"),
        ("metric.function", callable(function), "a function of outputs and labels"),
        ("metric.higher_is_better", isinstance(plain.higher_is_better, bool), "True or False"),
        ("metric.source", isinstance(plain.source, str), "a text"),
        ("metric.bounds", _are_bounds(plain.bounds), "None, or two numbers: the least and the largest value"),
    ):
        _require(right, part, getattr(plain, part.partition(".")[2]), accepted, place)
    return plain


def _are_bounds(bounds: object) -> bool:
    if bounds is None:
        return True
    if not isinstance(bounds, tuple) or len(bounds) != 2:
        return False
    return all(isinstance(bound, (int, float)) for bound in bounds) and bounds[0] < bounds[1]
