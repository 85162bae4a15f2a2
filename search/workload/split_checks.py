"""Errors in a workload, found before any budget is spent: each check names the place and the remedy."""

from __future__ import annotations

import hashlib
import inspect
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...profiles.errors import UserError
from .workload import ACCURACY, SPLIT_NAMES, Metric, Split, Splits, Workload

if TYPE_CHECKING:
    from torch import nn

_CALIBRATION_PER_CLASS = 10  # with fewer samples per class than this, calibration may lack some


def check_splits(splits: Splits, metric: Metric = ACCURACY) -> None:
    """Check types, lengths, shapes, finite values, labels, classes, and that no sample is in two splits.

    Labels and classes are checked where the metric is accuracy: only there is their meaning known.

    Raises:
        UserError: names the split, the samples and the remedy.
    """
    for name, split in splits.items():
        _check_arrays(name, split)
    for name, split in splits.items():
        _check_like_train(name, split, splits.train)
        _check_finite(name, split)
    if metric.name == ACCURACY.name:
        _check_labels(splits)
        _check_classes(splits)
    _check_overlap(splits)


def _check_arrays(name: str, split: Split) -> None:
    place = f"split {name!r}"
    if not isinstance(split, Split) or not split.inputs:
        raise UserError(
            "not a Split with inputs", place=place, accepted="Split(inputs={name: array}, labels=...)"
        )
    for key, array in [*split.inputs.items(), ("labels", split.labels)]:
        if not isinstance(array, np.ndarray) or array.ndim == 0:
            raise UserError(
                f"{key!r} is not a numpy array with samples along axis 0",
                place=place,
                found=type(array).__name__,
                remedy="convert it, say with numpy.asarray or tensor.numpy()",
            )
    if len(split) == 0:
        raise UserError("the split is empty", place=place, remedy="give it samples: each split has a job")
    for key, array in split.inputs.items():
        if len(array) != len(split):
            raise UserError(
                f"input {key!r} and the labels differ in length",
                place=place,
                found=f"{len(array)} samples, {len(split)} labels",
                remedy="give one label per sample",
            )


def _check_like_train(name: str, split: Split, train: Split) -> None:
    if list(split.inputs) != list(train.inputs):
        raise UserError(
            "inputs differ from those of split 'train'",
            place=f"split {name!r}",
            found=", ".join(split.inputs),
            accepted=", ".join(train.inputs),
        )
    for key, array in split.inputs.items():
        wanted = train.inputs[key]
        if array.shape[1:] != wanted.shape[1:] or array.dtype != wanted.dtype:
            raise UserError(
                f"input {key!r} differs from that of split 'train'",
                place=f"split {name!r}",
                found=f"{array.dtype}{list(array.shape[1:])} per sample",
                accepted=f"{wanted.dtype}{list(wanted.shape[1:])} per sample",
                remedy="prepare all four splits by the same steps",
            )


def _check_finite(name: str, split: Split) -> None:
    for key, array in split.inputs.items():
        if not np.issubdtype(array.dtype, np.floating):
            continue
        bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
        if bad.any():
            raise UserError(
                f"input {key!r} has values that are not finite (NaN or infinity)",
                place=f"split {name!r}",
                found=f"{bad.sum()} of {len(array)} samples, the first at {_first(np.flatnonzero(bad))}",
                remedy="repair or drop these samples",
            )


def _check_labels(splits: Splits) -> None:
    for name, split in splits.items():
        labels = split.labels
        if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
            raise UserError(
                "labels are not class numbers",
                place=f"split {name!r}",
                found=f"{labels.dtype}{list(labels.shape)}, the first is {labels.reshape(-1)[0]!r}",
                accepted="one integer per sample, counted from 0",
                remedy="number the classes, or give the workload its own metric for other labels",
            )


def _check_classes(splits: Splits) -> None:
    known = sorted({int(label) for _, split in splits.items() for label in np.unique(split.labels)})
    if len(known) < 2:
        raise UserError("the labels have one class only", found=f"class {known[0]}", accepted="two or more")
    for name, split in splits.items():
        missing = sorted(set(known) - set(np.unique(split.labels).tolist()))
        if name == "calibration" and len(split) < _CALIBRATION_PER_CLASS * len(known):
            continue
        if missing:
            raise UserError(
                f"classes are missing in split {name!r}: {_first(missing)}",
                place=f"split {name!r}",
                found=f"{len(known) - len(missing)} of {len(known)} classes",
                remedy="split the data so that each class is in each split (stratified)",
            )


def _check_overlap(splits: Splits) -> None:
    hashes = {name: _sample_hashes(split) for name, split in splits.items()}
    for one, other in combinations(SPLIT_NAMES, 2):
        shared = set(hashes[one]) & set(hashes[other])
        if not shared:
            continue
        rows = {name: [i for i, h in enumerate(hashes[name]) if h in shared] for name in (one, other)}
        raise UserError(
            f"splits {one!r} and {other!r} share {len(shared)} samples with the same content",
            place=f"splits {one!r} and {other!r}",
            found=f"{one}[{_first(rows[one])}] and {other}[{_first(rows[other])}]",
            remedy=f"remove them from {one!r} or from {other!r}: a score on samples used before says "
            "nothing. Samples that occur twice in the data count too, so drop copies before splitting",
        )


def _sample_hashes(split: Split) -> list[bytes]:
    arrays = [np.ascontiguousarray(array) for array in split.inputs.values()]
    return [
        hashlib.blake2b(b"".join(array[row].tobytes() for array in arrays), digest_size=16).digest()
        for row in range(len(split))
    ]


def _first(values: Any, count: int = 5) -> str:
    """The first few of a list, and how many more there are."""
    values = list(values)
    text = ", ".join(str(value) for value in values[:count])
    return text + (f" and {len(values) - count} more" if len(values) > count else "")


def check_model(model: nn.Module, split: Split, metric: Metric, name: str) -> tuple[int, ...]:
    """Run `model` on a few samples and return the shape of its output per sample.

    `name` is what messages call the model ("teacher", "student width=0.5").

    Raises:
        UserError: forward fails, or gives something that the metric cannot score.
    """
    from ..stages.network.predict import predict

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


def _check_class_scores(outputs: NDArray[Any], split: Split, place: str) -> None:
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


def check_teacher(outputs: NDArray[Any], splits: Splits, metric: Metric) -> float:
    """Quality on `validation` of a teacher with these outputs, if it has learned anything.

    It must beat the same outputs dealt to the samples at random (by three standard deviations), and, where
    the metric is accuracy, the answer that is commonest in `train`.

    Raises:
        UserError: it does not, or the metric gives no finite number.
    """
    labels = splits.validation.labels
    quality = _finite_quality(metric, outputs, labels)
    order = np.random.default_rng(0)
    shuffled = [metric.function(outputs[order.permutation(len(labels))], labels) for _ in range(20)]
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


def _finite_quality(metric: Metric, outputs: NDArray[Any], labels: NDArray[Any]) -> float:
    quality = metric.function(outputs, labels)
    if not isinstance(quality, (int, float, np.number)) or not np.isfinite(quality):
        raise UserError(
            f"the metric {metric.name!r} did not give a finite number",
            place="teacher on validation",
            found=repr(quality),
            remedy="let the metric return one float for outputs and labels of a whole split",
        )
    return float(quality.real)


def check_onnx(path: Path, splits: Splits, workload: Workload) -> None:
    """Check that the inputs of an ONNX model are those of the splits (names, types, shapes).

    Raises:
        UserError: they differ, or the file is not an ONNX model.
    """
    import onnx

    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as error:
        raise UserError(
            "not a valid ONNX model",
            place=str(path),
            found=str(error).splitlines()[0],
            remedy="export it again",
        ) from error
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = {
        value.name: value.type.tensor_type for value in model.graph.input if value.name not in constants
    }
    place = f"ONNX model of workload {workload.name}"
    if set(inputs) != set(splits.train.inputs):
        raise UserError(
            "the splits' inputs are not those of the ONNX model",
            place=place,
            found=", ".join(splits.train.inputs),
            accepted=", ".join(inputs),
        )
    for name, declared in inputs.items():
        array = splits.train.inputs[name]
        shape = [d.dim_value if d.HasField("dim_value") else None for d in declared.shape.dim][1:]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(declared.elem_type)
        fits = len(shape) == array.ndim - 1 and all(
            want in (None, 0, got) for want, got in zip(shape, array.shape[1:], strict=False)
        )
        if not fits or dtype != array.dtype:
            raise UserError(
                f"input {name!r} of the splits does not fit the ONNX model",
                place=place,
                found=f"{array.dtype}{list(array.shape[1:])} per sample",
                accepted=f"{dtype}{['any' if size is None else size for size in shape]} per sample",
            )
