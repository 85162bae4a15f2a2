"""Checks of the outputs of a model against labels and metric, whatever runs it: nothing here needs torch."""

from __future__ import annotations

import numpy as np

from ....profiles.errors import UserError
from ...workload.metric import Array, Metric, Outputs
from ...workload.metrics import ACCURACY
from ...workload.outputs import rows_of
from ...workload.workload import Split, Splits

VALIDATION = "teacher on validation"


def check_outputs(
    outputs: Array, sample: Split, metric: Metric | None, place: str, labels: Array | None = None
) -> None:
    """Check the outputs of a model for these samples. `place` names model and samples in messages; with a
    `metric` they are the only output. `labels` are those of all samples (None: these are all).

    Raises:
        UserError: there is not one row for each sample, a value is no finite real number, or the metric
            cannot score it.
    """
    if outputs.ndim == 0 or len(outputs) != len(sample):
        raise UserError(
            "the output has no sample along axis 0",
            place=place,
            found=f"shape {list(outputs.shape)} for {len(sample)} samples",
            accepted=f"shape [{len(sample)}, ...]",
        )
    if outputs.dtype.kind not in "biuf":
        raise UserError(
            "the output is not of real numbers", place=place, found=str(outputs.dtype), accepted="float32"
        )
    if not np.isfinite(outputs).all():
        raise UserError(
            "the output is not finite (NaN or infinity)",
            place=place,
            remedy="check the model's weights and how the inputs are scaled",
        )
    labels = sample.labels if labels is None else labels
    if metric is not None and metric.name == ACCURACY.name and labels.ndim == 1:
        _check_class_scores(outputs, labels, place)


def _check_class_scores(outputs: Array, labels: Array, place: str) -> None:
    classes = int(labels.max()) + 1
    if outputs.ndim != 2 or outputs.shape[1] < classes:
        raise UserError(
            "the output does not have one score per class",
            place=place,
            found=f"shape {list(outputs.shape)}, labels up to {classes - 1}",
            accepted=f"shape [N, {classes}] or wider",
            remedy="let the model return class scores, or number the labels from 0 without gaps",
        )


def check_teacher(outputs: Outputs, splits: Splits, metric: Metric) -> float:
    """Quality on `validation` of a teacher with these outputs, if it has learned anything.

    It must beat the same outputs dealt to the samples at random (by three standard deviations), and, where
    the metric is accuracy, the answer that is commonest in `train`.

    Raises:
        UserError: it does not, or the metric gives no finite number.
    """
    labels = splits.validation.labels
    quality = teacher_score(metric, outputs, labels, VALIDATION)
    order = np.random.default_rng(0)
    dealt = (rows_of(outputs, order.permutation(len(labels))) for _ in range(20))
    shuffled = [teacher_score(metric, one, labels, f"{VALIDATION}, outputs dealt at random") for one in dealt]
    margin = 3 * float(np.std(shuffled)) * (1 if metric.higher_is_better else -1)
    bars = {"its own outputs in random order": float(np.mean(shuffled)) + margin}
    if metric.name == ACCURACY.name and labels.ndim == 1:
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


def teacher_score(metric: Metric, outputs: Outputs, labels: Array, place: str) -> float:
    """The metric of outputs of the teacher: what is no number there is so for the whole study.

    Raises:
        UserCodeError: the metric raises, or gives no finite number of its kind.
    """
    return metric.score(outputs, labels, place=place)
