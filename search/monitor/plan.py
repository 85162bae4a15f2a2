"""Which numbers are recorded of each input and output of a model: decided once, when a bundle is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..workload.task import class_axis
from .series import CLASSES, FLAGS, MOST_PLACES, NUMBERS, TOKENS

Array = NDArray[Any]
EACH = 64
"""Of samples with so many elements each one is a series of its own."""
_FAR_MORE = 2  # columns than classes
_SHARES_OF = 256  # samples tell whether scores are shares: maps of a whole split are large
MOST_CHANNELS, MOST_TOP, SINGLES = 16, 16, 8
MOST_SCORES, MOST_POSITIONS, MOST_KNOWN = 4096, 64, 8192
_OF_CLASSES = frozenset({"accuracy", "f1_macro", "auc", "perplexity", "miou"})


def input_plan(name: str, array: Array, shape: Sequence[int | None]) -> dict[str, Any]:
    """The plan of an input, of which these samples (axis 0) are known; `shape` is that of one sample, None
    where it varies."""
    plan = {"name": name, "side": "inputs", "shape": list(shape)}
    if array.dtype in (np.int32, np.int64) and array.ndim == 2 and array.shape[1] > 3:
        return plan | _tokens(name, array, None in shape)
    return plan | _numbers(name, shape)


def output_plan(
    name: str, array: Array, shape: Sequence[int | None], *, metric: str, targets: Array | None, judged: bool
) -> dict[str, Any]:
    """The plan of an output. `judged`: labels belong to this one; `targets` are those of the samples, if any
    are known."""
    plan: dict[str, Any] = {"name": name, "side": "outputs", "shape": list(shape), "judge": ""}
    axis = _class_axis(array, metric, targets) if judged and None not in shape else None
    if axis is not None and array.shape[axis] <= MOST_SCORES:
        return plan | _classes(name, array, axis)
    plan |= _numbers(name, shape)
    if judged and None not in shape:
        plan |= _judged(array, metric, targets, plan["places"])
    return plan


def _class_axis(array: Array, metric: str, targets: Array | None) -> int | None:
    """The axis of scores of classes, as the targets tell, or else the metric."""
    if targets is not None:
        axis = class_axis(targets, array.shape[1:])
        few = axis is not None and len(np.unique(targets)) * _FAR_MORE < array.shape[axis]
        return None if few and metric not in _OF_CLASSES else axis  # it may be an embedding
    if metric not in _OF_CLASSES or array.ndim < 2 or array.dtype.kind != "f":
        return None
    axis = 1 if array.ndim == 4 else -1
    return axis if array.shape[axis] > 1 else None


def _drawn(count: int, most: int) -> list[int]:
    """The same places each time."""
    if count <= most:
        return list(range(count))
    return sorted(np.random.default_rng(count).choice(count, most, replace=False).tolist())


def _numbers(name: str, shape: Sequence[int | None]) -> dict[str, Any]:
    kind: dict[str, Any] = {"kind": NUMBERS, "places": None, "groups": [], "singles": [], "wide": True}
    usual = [f"{name} mean", f"{name} spread"]
    known = [size for size in shape if size is not None]
    if len(known) < len(shape):
        return kind | {"series": usual}
    count = prod(known)
    if count <= EACH:
        named = [name] if count == 1 else [f"{name}[{at}]" for at in range(count)]
        return kind | {"singles": list(range(count)), "wide": False, "series": named}
    places = _drawn(count, MOST_PLACES)
    groups = _channels(known, places)
    singles = _drawn(len(places), SINGLES)
    named = [f"{name} channel {at}" for at in range(len(groups))]
    named += [f"{name}[{places[at]}]" for at in singles]
    return kind | {"places": places, "groups": groups, "singles": singles, "series": [*usual, *named]}


def _channels(shape: Sequence[int], places: Sequence[int]) -> list[list[int]]:
    """The places of each channel: of the first axis or the last, whichever is short."""
    for axis in (0, -1):
        if len(shape) > 1 and 1 < shape[axis] <= MOST_CHANNELS:
            of = np.unravel_index(np.array(places), tuple(shape))[axis]
            groups = [np.flatnonzero(of == channel).tolist() for channel in range(shape[axis])]
            return groups if all(groups) else []
    return []


def _tokens(name: str, array: Array, varies: bool) -> dict[str, Any]:
    places = None if varies else _drawn(array.shape[1], MOST_PLACES)
    ids, counts = np.unique(array if places is None else array[:, places], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    top = ids[order[:MOST_TOP]].tolist()
    named = [f"{name} unknown", *(f"{name} token {token}" for token in top)]
    known = sorted(ids[order[:MOST_KNOWN]].tolist())
    return {"kind": TOKENS, "places": places, "top": top, "known": known, "series": named}


def _classes(name: str, array: Array, axis: int) -> dict[str, Any]:
    rows = np.moveaxis(array, axis, -1)
    classes, count = rows.shape[-1], prod(rows.shape[1:-1])
    positions = _drawn(count, max(1, min(MOST_POSITIONS, MOST_SCORES // classes)))
    numbers = np.arange(count * classes).reshape((classes, count) if axis == 1 else (count, classes))
    places = (numbers.T if axis == 1 else numbers)[positions].reshape(-1).tolist()
    plan = {
        "kind": CLASSES,
        "judge": CLASSES,
        "classes": classes,
        "places": None if count == 1 else places,
        "positions": positions if count > 1 else [],
        "probabilities": _are_shares(rows),
        "top": [],
    }
    if len(positions) == 1:
        return plan | {"series": [f"{name} answer", f"{name} confidence"]}
    answers, counts = np.unique(rows.argmax(axis=-1), return_counts=True)
    top = sorted(answers[np.argsort(-counts, kind="stable")[:MOST_TOP]].tolist())
    return plan | {"top": top, "series": [f"{name} confidence", *(f"{name} class {one}" for one in top)]}


def _are_shares(rows: Array) -> bool:
    some = rows[:: -(-len(rows) // _SHARES_OF)]
    found = np.nan_to_num(some.astype(np.float64))
    inside = bool((found >= -1e-6).all() and (found <= 1.01).all())
    return inside and abs(float(np.median(found.sum(axis=-1))) - 1) < 0.05


def _judged(array: Array, metric: str, targets: Array | None, places: list[int] | None) -> dict[str, Any]:
    """How answers that are no scores of classes are held against labels."""
    positions = places or []
    if targets is None or targets.dtype.kind not in "biuf" or prod(targets.shape) != prod(array.shape):
        return {}
    if array.dtype.kind in "iu" and targets.dtype.kind in "iu" and metric in _OF_CLASSES:
        return {"judge": CLASSES, "positions": positions}
    flags = metric in _OF_CLASSES and bool(np.isin(targets, (0, 1)).all())
    shares = bool((array >= 0).all() and (array <= 1).all())
    return {"judge": FLAGS if flags else NUMBERS, "positions": positions, "probabilities": shares}


def edges_of(values: Array, classes: int) -> list[float]:
    """Where the values of a series are cut into bins: between values where there are few of them, else at
    quantiles, as many as the samples allow; the outermost lie beyond what was seen. `classes`: the values are
    numbers of so many classes."""
    if classes:
        step = max(1, -(-classes // EACH))
        return [float(at) - 0.5 for at in (*range(0, classes, step), classes)]
    known = values[np.isfinite(values)]
    distinct = np.unique(known)
    if not len(distinct):
        return [0.0]
    if len(distinct) <= max(2, min(12, len(known) // 3)):
        middles = (distinct[1:] + distinct[:-1]) / 2
        apart = np.diff(distinct).min() / 2 if len(distinct) > 1 else 1e-6 * abs(distinct[0]) + 1e-9
        return [float(distinct[0] - apart), *middles.tolist(), float(distinct[-1] + apart)]
    bins = int(np.clip(len(known) // 16, 2, 10))
    inner = np.quantile(known, np.arange(1, bins) / bins)
    reach = (distinct[-1] - distinct[0]) / 2
    return np.unique([distinct[0] - reach, *inner, distinct[-1] + reach]).tolist()  # type: ignore[no-any-return]


def shapes_of(specs: Mapping[str, Sequence[int]], name: str, array: Array) -> list[int | None]:
    """The shape of one sample: as the model says, where that goes with the samples."""
    said = list(specs.get(name, ()))[1:]
    if len(said) != array.ndim - 1:
        return list(array.shape[1:])
    return [there if size == there else None for size, there in zip(said, array.shape[1:], strict=True)]
