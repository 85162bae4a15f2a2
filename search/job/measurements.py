"""Measurements that somebody has made on a device by hand, read from a file: CSV or JSON."""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from ...profiles.errors import UserError
from ...profiles.files import open_regular
from ...profiles.text.units import parse_quantity
from ...profiles.words import one_line

TRIAL, ARTIFACT = "trial", "artifact"
DIMENSIONS = {"latency_ms": "time_ms", "memory_bytes": "bytes", "energy_mj": "energy_mj"}
"""Columns with numbers, and what each measures. A number without a unit is in that of the column's name."""
LEAST_DIGITS = 8
"""Of an artifact's key, that are enough to name it."""
_PASSED_OVER = ("configuration", "runs", "minimum_ms", "note")
_ACCEPTED = (TRIAL, ARTIFACT, *DIMENSIONS)
_MOST_BYTES, _MOST_ROWS, _MOST_TRIAL = 2_000_000, 10_000, 2**31
_MOST = {"latency_ms": 3.6e6, "memory_bytes": 2.0**50, "energy_mj": 1e9}
_EXAMPLE = (
    "columns trial (or artifact) and latency_ms, say:\n    trial,latency_ms\n    12,4.31\n    17,2.08 ms"
)


@dataclass(frozen=True, kw_only=True)
class HandTimed:
    """One measured artifact, named by its trial, by its key or the beginning of that, or by both. `place` is
    the line in its file."""

    place: str
    trial: int | None = None
    artifact: str = ""
    metrics: Mapping[str, float]


def read_measurements(path: Path) -> tuple[HandTimed, ...]:
    """The rows of a file, in order.

    Raises:
        UserError: it is missing, or something in it is not as it must be; the line is named.
    """
    text = _text(path)
    told = _of_json(text, path) if path.suffix.lower() == ".json" else _of_csv(text, path)
    rows = tuple(_row(place, values) for place, values in told)
    if not rows:
        raise UserError("no measurement in this file", place=str(path), accepted=_EXAMPLE)
    return rows


def _text(path: Path) -> str:
    try:
        with open_regular(path) as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise UserError(
                "too large for measurements", place=str(path), accepted=f"up to {_MOST_BYTES} bytes"
            )
        return str(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise UserError(
            "this is no text", place=str(path), found=f"byte {error.start} is no UTF-8", accepted=_EXAMPLE
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(
            "the measurements cannot be read",
            place=str(path),
            found=getattr(error, "strerror", None) or str(error),
            accepted="a CSV file, or a JSON file that ends in .json",
        ) from None


def _of_csv(text: str, path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    lines = csv.reader(io.StringIO(text), skipinitialspace=True, strict=True)
    try:
        head = [name.strip() for name in next(lines, [])]
        _check_columns(head, f"{path}: line 1")
        for number, cells in enumerate(lines, start=2):
            place = f"{path}: line {lines.line_num}"
            if number > _MOST_ROWS:
                raise UserError("too many rows", place=place, accepted=f"up to {_MOST_ROWS}")
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(head):
                found = f"{len(cells)} cells, the first line has {len(head)} columns"
                raise UserError("a row has another length", place=place, found=found)
            yield place, dict(zip(head, (cell.strip() for cell in cells), strict=True))
    except csv.Error as error:
        raise UserError(
            "this is no CSV", place=f"{path}: line {lines.line_num}", found=str(error), accepted=_EXAMPLE
        ) from None


def _of_json(text: str, path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError("this is no JSON", place=str(path), found=str(error)) from None
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise UserError(
            "a list of objects is needed",
            place=str(path),
            found=type(found).__name__,
            accepted='[{"trial": 12, "latency_ms": 4.31}, ...]',
        )
    for number, one in enumerate(found[:_MOST_ROWS], start=1):
        place = f"{path}: entry {number}"
        _check_columns(one, place)
        yield place, one


def _check_columns(names: Iterable[str], place: str) -> None:
    names = list(names)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"the column {one_line(repr(twice), 60)} stands there twice", place=place)
    for name in names:
        if name not in (*_ACCEPTED, *_PASSED_OVER):
            near = difflib.get_close_matches(name.lower(), _ACCEPTED, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UserError(
                f"unknown column {one_line(repr(name), 60)}{hint}", place=place, accepted=", ".join(_ACCEPTED)
            )
    if not {TRIAL, ARTIFACT} & set(names) or not DIMENSIONS.keys() & set(names):
        raise UserError(
            "what was measured, or of what, is not told",
            place=place,
            found=one_line(", ".join(names), 120) or "nothing",
            accepted=_EXAMPLE,
        )


def _row(place: str, values: Mapping[str, Any]) -> HandTimed:
    trial, artifact = _trial(values.get(TRIAL), place), _artifact(values.get(ARTIFACT), place)
    if trial is None and not artifact:
        raise UserError("a row names no artifact", place=place, accepted=f"a {TRIAL}, an {ARTIFACT}, or both")
    metrics = {name: _number(name, values[name], place) for name in DIMENSIONS if _told(values.get(name))}
    if not metrics:
        raise UserError("a row has no number", place=place, accepted=", ".join(DIMENSIONS))
    return HandTimed(place=place, trial=trial, artifact=artifact, metrics=metrics)


def _told(value: Any) -> bool:
    return value is not None and value != ""


def _trial(value: Any, place: str) -> int | None:
    if not _told(value):
        return None
    text = str(value).removeprefix("#")
    if isinstance(value, bool | float) or not text.isdecimal() or not text.isascii() or len(text) > 10:
        raise UserError(
            "this is no trial",
            place=f"{place}, {TRIAL}",
            found=one_line(repr(value), 60),
            accepted="its number",
        )
    return int(text)


def _artifact(value: Any, place: str) -> str:
    if not _told(value):
        return ""
    text = value.lower() if isinstance(value, str) else ""
    if len(text) < LEAST_DIGITS or not set(text) <= set("0123456789abcdef"):
        raise UserError(
            "this is no artifact",
            place=f"{place}, {ARTIFACT}",
            found=one_line(repr(value), 60),
            accepted=f"its key, or the first {LEAST_DIGITS} hex digits of it or more",
        )
    return text


def _number(name: str, value: Any, place: str) -> float:
    place = f"{place}, {name}"
    if isinstance(value, str):
        found = _read(name, value, place)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        found = float(value) if abs(value) < 1e300 else float("inf")
    else:
        raise UserError("this is no number", place=place, found=one_line(repr(value), 60))
    if not isfinite(found) or not 0 < found <= _MOST[name]:
        raise UserError(
            "this cannot have been measured",
            place=place,
            found=one_line(str(value), 60),
            accepted=f"a number above 0, up to {_MOST[name]:g} ({name.rpartition('_')[2]})",
        )
    return found


def _read(name: str, text: str, place: str) -> float:
    """A number in the unit of its column, or with a unit of its own."""
    try:
        return float(text) if "_" not in text else float("nan")
    except ValueError:
        try:
            return parse_quantity(text, DIMENSIONS[name])
        except UserError as error:
            raise error.placed(place) from None
