"""Errors in a workload, found before any budget is spent: each check names the place and the remedy."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ...profiles.errors import UserError
from ...profiles.guard.user_code import shown
from ...profiles.words import listed
from .onnx_file import read_onnx
from .workload import ACCURACY, SPLIT_NAMES, Array, Metric, Split, Splits, Workload

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
        if splits.train.labels.ndim == 1:
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
                found=f"{type(array).__name__} {shown(array)}",
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
    named = {f"input {key!r} has": array for key, array in split.inputs.items()}
    for what, array in {**named, "labels have": split.labels}.items():
        if not np.issubdtype(array.dtype, np.inexact):
            continue
        bad = ~np.isfinite(array).reshape(len(array), -1).all(axis=1)
        if bad.any():
            raise UserError(
                f"{what} values that are not finite (NaN or infinity)",
                place=f"split {name!r}",
                found=f"{bad.sum()} of {len(array)} samples, the first at {listed(np.flatnonzero(bad))}",
                remedy="repair or drop these samples",
            )


def _check_labels(splits: Splits) -> None:
    for name, split in splits.items():
        labels = split.labels
        whole = np.issubdtype(labels.dtype, np.integer)
        several = labels.ndim > 1 and (whole or bool(((labels == 0) | (labels == 1)).all()))
        if several and labels.ndim == 2 and labels.min() == 0 and bool((labels.sum(axis=1) == 1).all()):
            several = False  # one-hot
        if not several and (labels.ndim != 1 or not whole or labels.min() < 0):
            raise UserError(
                "labels are not class numbers",
                place=f"split {name!r}",
                found=f"{labels.dtype}{list(labels.shape)}, the first is {labels.reshape(-1)[0]!r}",
                accepted="one integer per sample, token or pixel, counted from 0; or 0 and 1 for each label",
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
                f"classes are missing in split {name!r}: {listed(missing)}",
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
            found=f"{one}[{listed(rows[one])}] and {other}[{listed(rows[other])}]",
            remedy=f"remove them from {one!r} or from {other!r}: a score on samples used before says "
            "nothing. Samples that occur twice in the data count too, so drop copies before splitting",
        )


def _sample_hashes(split: Split) -> list[bytes]:
    arrays = [np.ascontiguousarray(array) for array in split.inputs.values()]
    return [
        hashlib.blake2b(b"".join(array[row].tobytes() for array in arrays), digest_size=16).digest()
        for row in range(len(split))
    ]


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a model takes as one input: the name of the type ("": no tensor), the sizes of its axes beside the
    batch (None: any; no shape: it has not even a batch), and other types that will do."""

    dtype: str
    shape: tuple[int | None, ...] | None
    also: tuple[str, ...] = ()


def check_onnx(path: Path, splits: Splits, workload: Workload) -> None:
    """Check that the inputs of an ONNX model are those of the splits (names, types, shapes).

    Raises:
        UserError: they differ, or `read_onnx` does not accept the file.
    """
    model = read_onnx(path)
    constants = {tensor.name for tensor in model.graph.initializer}
    inputs = {
        value.name: _taken(value.type.tensor_type)
        for value in model.graph.input
        if value.name not in constants
    }
    check_inputs(inputs, splits, f"ONNX model of workload {workload.name}", "the ONNX model")


def _taken(declared: Any) -> Taken:
    import onnx

    if not declared.elem_type:
        return Taken(dtype="", shape=())
    dtype = onnx.helper.tensor_dtype_to_np_dtype(declared.elem_type).name
    sizes = [dim.dim_value if dim.dim_value > 0 else None for dim in declared.shape.dim]
    # bfloat16 is what numpy does not have, and the model is brought to float32.
    return Taken(dtype="float32" if dtype == "bfloat16" else dtype, shape=tuple(sizes[1:]) if sizes else None)


def check_inputs(inputs: Mapping[str, Taken], splits: Splits, place: str, model: str) -> None:
    """Check that a model's inputs are those of the splits; `model` is what messages call it.

    Raises:
        UserError: they differ.
    """
    if set(inputs) != set(splits.train.inputs):
        raise UserError(
            f"the splits' inputs are not those of {model}",
            place=place,
            found=", ".join(splits.train.inputs),
            accepted=", ".join(inputs),
        )
    for name, taken in inputs.items():
        if not taken.dtype:
            raise UserError(
                f"input {name!r} of {model} is no tensor",
                place=place,
                accepted="tensors: samples are arrays",
                remedy="export the model with a tensor in its place",
            )
        _check_input(name, taken, splits.train.inputs[name], place, model)


def _check_input(name: str, taken: Taken, array: Array, place: str, model: str) -> None:
    right_type = array.dtype.name in (taken.dtype, *taken.also)
    sizes = taken.shape
    fits = sizes is not None and len(sizes) + 1 == array.ndim
    fits = fits and all(a in (None, b) for a, b in zip(sizes or (), array.shape[1:], strict=True))
    if fits and right_type:
        return
    types = " or ".join(dict.fromkeys((taken.dtype, *taken.also)))
    raise UserError(
        f"input {name!r} of the splits does not fit {model}",
        place=place,
        found=f"{array.dtype}{list(array.shape[1:])} per sample",
        accepted=f"{types}{['any' if size is None else size for size in sizes or ()]} per sample",
        remedy="prepare the data as the model takes it, or export the model with free axes"
        if right_type
        else "prepare the data as the model takes it, say by "
        f"array.astype({(*taken.also, taken.dtype)[0]!r})",
    )
