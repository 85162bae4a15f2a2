"""Errors in a workload, found before any budget is spent: each check names the place and the remedy."""

from __future__ import annotations

import hashlib
from itertools import combinations
from pathlib import Path

import numpy as np

from ...profiles.errors import UserError
from ...profiles.guard.user_code import shown
from ...profiles.words import listed
from .onnx_file import read_onnx
from .workload import ACCURACY, SPLIT_NAMES, Metric, Split, Splits, Workload

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


def check_onnx(path: Path, splits: Splits, workload: Workload) -> None:
    """Check that the inputs of an ONNX model are those of the splits (names, types, shapes).

    Raises:
        UserError: they differ, or `read_onnx` does not accept the file.
    """
    import onnx

    model = read_onnx(path)
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
        if not declared.elem_type:
            raise UserError(
                f"input {name!r} of the ONNX model is no tensor",
                place=place,
                accepted="tensors: samples are arrays",
                remedy="export the model with a tensor in its place",
            )
        shape = [d.dim_value if d.dim_value > 0 else None for d in declared.shape.dim][1:]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(declared.elem_type)
        if dtype.name == "bfloat16":  # which numpy does not have, and the model is brought to float32
            dtype = np.dtype("float32")
        fits = len(declared.shape.dim) == array.ndim and all(
            want in (None, got) for want, got in zip(shape, array.shape[1:], strict=True)
        )
        if not fits or dtype != array.dtype:
            raise UserError(
                f"input {name!r} of the splits does not fit the ONNX model",
                place=place,
                found=f"{array.dtype}{list(array.shape[1:])} per sample",
                accepted=f"{dtype}{['any' if size is None else size for size in shape]} per sample",
                remedy=f"prepare the data as the model takes it, say by array.astype({dtype.name!r})"
                if dtype != array.dtype
                else "prepare the data as the model takes it, or export the model with free axes",
            )
