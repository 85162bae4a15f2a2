"""Whether the parts of a workload are what they should be, before any of them is called."""

from __future__ import annotations

from ...profiles.errors import UserError
from .metric import Metric
from .workload import Workload

_FUNCTIONS = {
    "splits": "a function that returns a paretune.Splits: `splits=load` or `splits=lambda: data`",
    "teacher": "a function that builds the model: `teacher=Net` or `teacher=lambda: model`",
    "student": "a function of the study's student axes that builds a model: "
    "`student=lambda width: Net(width)`",
    "train_teacher": "a function of the model and the splits that trains it in place",
}


def _check_functions(workload: Workload, place: str) -> None:
    """What is no function where one is called would fail much later, far from its place."""
    for part, accepted in _FUNCTIONS.items():
        given: object = getattr(workload, part)
        built = hasattr(given, "forward") and not isinstance(given, type)  # a module can be called, too
        if built or not (callable(given) or (given is None and part != "splits")):
            raise UserError(
                f"`{part}` of the workload is no function",
                place=place,
                found=f"{type(given).__name__} {given!r}"[:100].splitlines()[0],
                accepted=accepted,
            )
    metric: object = workload.metric
    if not isinstance(metric, Metric):
        raise UserError(
            "`metric` of the workload is no metric",
            place=place,
            found=type(metric).__name__,
            accepted="the name of a built-in one, or paretune.Metric(name=..., function=...)",
        )


def checked_parts(workload: Workload, reference: str) -> Workload:
    """The workload, if its parts are what they should be.

    Raises:
        UserError: one is not, or two of them exclude each other; `reference` is the place that it names.
    """
    if (workload.teacher is None) == (workload.onnx is None):
        raise UserError(
            "a workload has either `teacher` or `onnx`",
            place=reference,
            found="both" if workload.onnx else "neither",
            remedy="give a function that builds the trained model, or the path of an ONNX file",
        )
    needless = [part for part in ("student", "train_teacher") if workload.onnx and getattr(workload, part)]
    if needless:
        raise UserError(
            f"a model that exists only as ONNX cannot be trained: `{needless[0]}` has no use",
            place=reference,
            remedy="remove it, or give `teacher` in place of `onnx`",
        )
    _check_functions(workload, reference)
    return workload
