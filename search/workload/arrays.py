"""A workload's arrays as everything after takes them: numbers in this machine's byte order, side by side.

Files give them in other forms (FITS, NetCDF and IDX are big-endian, some tools count in uint16), which torch
and the runtimes do not take. What can be brought into form without a change of any value is; the rest is
refused by its split and name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...profiles.errors import UserError
from ...profiles.guard.user_code import shown
from ...profiles.words import listed
from .names import is_name
from .workload import Array, Split, Splits

_LARGEST_BYTES = 8  # of one number: torch and the runtimes have no wider ones
_MOST = np.iinfo(np.int64).max


def brought_into_form(splits: Splits) -> Splits:
    """The splits with arrays of native byte order that are contiguous; class numbers in unsigned types that
    torch cannot count in are int64. What is no array is left to `split_checks`.

    Raises:
        UserError: an array that no model can be fed with or scored by; names the split.
    """
    return replace(splits, **{name: _split(name, split) for name, split in splits.items()})


def _split(name: str, split: Any) -> Any:
    if not isinstance(split, Split):
        return split
    place = f"split {name!r}"
    given: object = split.inputs
    if not isinstance(given, Mapping) or not all(is_name(key) for key in given):
        raise UserError(
            "inputs are not named by text",
            place=place,
            found=listed(map(shown, given)) if isinstance(given, Mapping) else shown(given),
            accepted="inputs={name: array}, by the names of the arguments of the model's forward method",
        )
    inputs = {key: _input(array, f"input {key!r}", place) for key, array in split.inputs.items()}
    return replace(split, inputs=inputs, labels=_labels(split.labels, place))


def _input(array: Any, what: str, place: str) -> Any:
    if not isinstance(array, np.ndarray):
        return array
    if array.dtype.kind not in "biuf" or _is_wide(array):
        raise _refused(array, what, place, "numbers of at most 64 bits: float32, int64, uint8, ...")
    return _plain(array, what, place)


def _labels(array: Any, place: str) -> Any:
    if not isinstance(array, np.ndarray):
        return array
    if array.dtype.kind not in "biufcSU" or (array.dtype.kind in "biuf" and _is_wide(array)):
        raise _refused(array, "labels", place, "an array of numbers: int64 class numbers, float32, ...")
    plain = _plain(array, "labels", place)
    # torch takes uint8, but no wider unsigned numbers.
    if plain.dtype.kind != "u" or plain.dtype.itemsize == 1:
        return plain
    if plain.size and plain.max() > _MOST:
        raise _refused(plain, "labels", place, f"numbers up to {_MOST}")
    return plain.astype(np.int64)


def _is_wide(array: Array) -> bool:
    return bool(array.dtype.itemsize > _LARGEST_BYTES)


def _plain(array: Array, what: str, place: str) -> Array:
    if isinstance(array, np.ma.MaskedArray) and np.ma.getmaskarray(array).any():
        raise _refused(array, what, place, "an array without masked values: fill them, or drop the samples")
    if array.ndim == 0:
        return array
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))


def _refused(array: Array, what: str, place: str, accepted: str) -> UserError:
    masked = "masked " if isinstance(array, np.ma.MaskedArray) else ""
    return UserError(
        f"{what}: the array has values that cannot be used",
        place=place,
        found=f"{masked}{array.dtype}{list(array.shape)}",
        accepted=accepted,
        remedy="convert it when the splits are made, say with array.astype(...)",
    )
