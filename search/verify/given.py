"""Samples that the user gives: a file of arrays, or the split of a study's workload."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...profiles.errors import UserError, at_place
from ...profiles.files import open_regular
from ...profiles.words import listed
from ..bundles.bundle import Bundle
from ..bundles.samples import NO_ARRAYS
from ..job.study_file import load_study_file
from ..workload.loader import load_workload
from ..workload.metric import Metric
from ..workload.metrics import BUILT_IN
from .shipped import Array, Shipped

TARGETS = "targets"


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """Samples with their targets; `name` is what checks call them. `recorded`: they are those that the
    manifest's quality is of, if nobody has changed them since."""

    name: str
    inputs: Mapping[str, Array]
    targets: Array
    recorded: bool = False


def read_data(path: Path, one: Shipped) -> Labelled:
    """Arrays by the names of the artifact's inputs, and `targets`.

    Raises:
        UserError: the file cannot be read, or its arrays do not fit.
    """
    with at_place(f"--data {path}"):
        found = _arrays(path)
        names = [spec.name for spec in one.inputs]
        missing = [name for name in (*names, TARGETS) if name not in found]
        if missing:
            raise _wrong(f"no array {missing[0]!r}, but {listed(found, 10) or 'none'}", one)
        inputs = {name: found[name] for name in names}
        _check_forms(inputs, found[TARGETS], one)
    return Labelled(name=path.name, inputs=inputs, targets=found[TARGETS])


def _arrays(path: Path) -> dict[str, Array]:
    try:
        with open_regular(path) as file:
            if not zipfile.is_zipfile(file):
                raise ValueError("no file of several arrays by name")
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                return {name: np.asarray(arrays[name]) for name in arrays.files}
    except NO_ARRAYS as error:
        raise UserError(
            "this file of samples cannot be read",
            found=getattr(error, "strerror", None) or str(error) or type(error).__name__,
            accepted="a file that numpy.savez has written, of numbers alone",
        ) from error


def _check_forms(inputs: Mapping[str, Array], targets: Array, one: Shipped) -> None:
    for spec in one.inputs:
        array = inputs[spec.name]
        fits = array.ndim == len(spec.shape) and all(
            wanted in (-1, size) for wanted, size in zip(spec.shape[1:], array.shape[1:], strict=True)
        )
        if not fits or not len(array):
            raise _wrong(f"{spec.name!r} has the shape {list(array.shape)}", one)
        if not np.can_cast(array.dtype, np.dtype(spec.dtype), "same_kind"):
            raise _wrong(f"{spec.name!r} holds {array.dtype}", one)
        if targets.ndim == 0 or len(targets) != len(array):
            rows = len(targets) if targets.ndim else "no"
            raise _wrong(f"{len(array)} rows of {spec.name!r}, {rows} targets", one)


def _wrong(found: str, one: Shipped) -> UserError:
    specs = ", ".join(f"{spec.name} {spec.dtype}{['N', *spec.shape[1:]]}" for spec in one.inputs)
    return UserError(
        "these samples are none for this artifact",
        found=found,
        accepted=f"arrays {specs}, and {TARGETS} with as many rows".replace("'N'", "N"),
    )


def metric_of(bundle: Bundle) -> Metric | None:
    """The bundle's metric, where it is one that needs no code of the user's."""
    return BUILT_IN.get(bundle.quality) if bundle.metric_by != "workload" else None


def of_study(path: Path, bundle: Bundle) -> tuple[Labelled, Metric]:
    """The split that a bundle's quality is of, and its metric, as a study's workload has them.

    Raises:
        UserError: the study file or its workload cannot be used, or has another metric.
    """
    with at_place(f"--study {path}"):
        said = load_study_file(path).workload
        workload = load_workload(said.file, path.resolve().parent, said.options)
        metric = workload.workload.metric
        if metric.name != bundle.quality:
            raise UserError(
                "this study has another metric than the bundle",
                found=metric.name,
                accepted=f"the study that the bundle is of, {bundle.study}, with {bundle.quality}",
            )
        split = getattr(workload.splits, bundle.split)
    name = f"the {bundle.split} split"
    return Labelled(name=name, inputs=split.inputs, targets=split.labels, recorded=True), metric
