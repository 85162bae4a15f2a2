"""Whether numbers of a record can be what they are called: a record is input, whoever wrote it."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from .evaluation import Quantity
from .finite import finite
from .metrics import AMOUNTS, METRICS
from .samples import CASES, DRAWS, HITS, SampleResults

LARGEST = 1e30
"""Beyond it, the square of a number is none any more."""
_ROUNDED = 1e-6
_LEAST = 1e-9
_NEVER_NOTHING = {
    "latency_ms", "latency_p90_ms", "latency_p99_ms", "latency_min_ms", "latency_ratio", "size_bytes",
    "compressed_bytes",
}  # fmt: skip
_RATIOS = {"latency_ratio", "ratio_to_baseline", "ratio_to_default"}


def doubt(value: Any) -> str:
    """What in a record cannot be: "metrics.accuracy.value is 33.3"; "" where nothing stands out."""
    _, lost = finite(value)
    return lost[0] if lost else next(_doubts(value, "", ""), "")


def _doubts(value: Any, place: str, name: str) -> Iterator[str]:
    if value is None or isinstance(value, bool | str):
        return
    if isinstance(value, int | float):
        if abs(value) > LARGEST:
            yield f"{place} is {value:.3g}"
    elif isinstance(value, SampleResults):
        yield from _of_samples(value, place)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _doubts(inner, f"{place}.{key}", str(key))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _doubts(inner, f"{place}[{number}]", name)
    elif is_dataclass(value):
        if isinstance(value, Quantity):
            yield from _of_quantity(value, place, name)
        for field in fields(value):
            yield from _doubts(getattr(value, field.name), f"{place}.{field.name}".lstrip("."), field.name)


def _of_quantity(quantity: Quantity, place: str, name: str) -> Iterator[str]:
    value, low, high = quantity.value, quantity.low, quantity.high
    least, most = _range(name)
    if not least <= value <= most:
        yield f"{place}.value is {value:.6g}"
    if low is not None and high is not None and low > high:
        yield f"{place} lies between {low:.6g} and {high:.6g}"
    if name in _RATIOS and any(end is not None and end <= 0 for end in (value, low, high)):
        yield f"{place} is a ratio of {value:.6g} (from {low} to {high})"


def _range(name: str) -> tuple[float, float]:
    """Between which values a metric of that name lies."""
    info = METRICS.get(name)
    if info is None or info.unit not in ("share", *AMOUNTS):
        return -LARGEST, LARGEST
    least = -1.0 if info.points else _LEAST if name in _NEVER_NOTHING else 0.0
    return least - _ROUNDED * (info.unit == "share"), 1.0 + _ROUNDED if info.unit == "share" else LARGEST


def _of_samples(results: SampleResults, place: str) -> Iterator[str]:
    try:
        size = len(b64decode(results.data, validate=True))
    except (Base64Error, ValueError):
        size = -1
    whole = {HITS: (results.count + 7) // 8, DRAWS: size - size % 4, CASES: 4 * results.count}.get(
        results.kind, -1
    )
    if results.count < 1 or size < 0 or size != whole:
        yield f"{place} has {size} bytes of {results.count} {results.kind}"
