"""Checks of a model against the data that it shall work on."""

from __future__ import annotations

import inspect

import numpy as np
from torch import nn

from ....profiles.errors import StageError, UserError
from ...workload.workload import ACCURACY, Array, Metric, Split, Splits
from ..network.predict import predict

VALIDATION = "teacher on validation"


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
    if outputs.ndim == 0 or len(outputs) != len(sample):
        raise UserError(
            "the output has no sample along axis 0",
            place=place,
            found=f"shape {list(outputs.shape)} for {len(sample)} samples",
            accepted=f"shape [{len(sample)}, ...]",
        )
    if not np.isfinite(outputs).all():
        raise UserError(
            "the output is not finite (NaN or infinity)",
            place=place,
            remedy="check the model's weights and how the inputs are scaled",
        )
    if metric.name == ACCURACY.name:
        _check_class_scores(outputs, split, place)
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


def _check_class_scores(outputs: Array, split: Split, place: str) -> None:
    classes = int(split.labels.max()) + 1
    if outputs.ndim != 2 or outputs.shape[1] < classes:
        raise UserError(
            "the output does not have one score per class",
            place=place,
            found=f"shape {list(outputs.shape)}, labels up to {classes - 1}",
            accepted=f"shape [N, {classes}] or wider",
            remedy="let the model return class scores, or number the labels from 0 without gaps",
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


def check_teacher(outputs: Array, splits: Splits, metric: Metric) -> float:
    """Quality on `validation` of a teacher with these outputs, if it has learned anything.

    It must beat the same outputs dealt to the samples at random (by three standard deviations), and, where
    the metric is accuracy, the answer that is commonest in `train`.

    Raises:
        UserError: it does not, or the metric gives no finite number.
    """
    labels = splits.validation.labels
    quality = teacher_score(metric, outputs, labels, VALIDATION)
    order = np.random.default_rng(0)
    dealt = (outputs[order.permutation(len(labels))] for _ in range(20))
    shuffled = [teacher_score(metric, one, labels, f"{VALIDATION}, outputs dealt at random") for one in dealt]
    margin = 3 * float(np.std(shuffled)) * (1 if metric.higher_is_better else -1)
    bars = {"its own outputs in random order": float(np.mean(shuffled)) + margin}
    if metric.name == ACCURACY.name:
        commonest = np.bincount(splits.train.labels).argmax()
        bars[f"always answering class {commonest}"] = float(np.mean(labels == commonest))
    for what, bar in sorted(bars.items()):
        if not metric.better(quality, bar):
            raise UserError(
                f"the teacher is no better than chance: {metric.name} {quality:.4g} on validation",
                place="teacher on validation",
                found=f"{what} gives up to {bar:.4g}",
                remedy="check that labels belong to their samples, that inputs are scaled as in training, "
                "and that the teacher is really trained (or its weights loaded)",
            )
    return quality


def teacher_score(metric: Metric, outputs: Array, labels: Array, place: str) -> float:
    """The metric of outputs of the teacher: what is no number there is so for the whole study.

    Raises:
        UserError: the metric raises, or gives no finite number of its kind.
    """
    try:
        return metric.score(outputs, labels, place=place)
    except StageError as error:
        raise UserError(
            f"the metric {metric.name!r} did not give a finite number",
            place=place,
            found=error.cause,
            remedy="let the metric return one float for outputs and labels of a whole split",
        ) from error
