"""Sentences that differ in their numbers alone, told as one: "latency is 33.4 to 42.1 µs"."""

from __future__ import annotations

import re
from collections.abc import Sequence

_UNITS = {
    "ns": 1e-6, "µs": 1e-3, "ms": 1.0, "s": 1e3, "min": 6e4,
    "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30,
    "%": 1.0, "pt": 1.0, "dB": 1.0,
}  # fmt: skip
# A number with its unit; a digit inside of a word ("int8", "sm_80", "#7") is no number.
_UNIT = "|".join(sorted(_UNITS, key=len, reverse=True))
_NUMBER = re.compile(rf"(?<![\w.#])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?: ?(?:{_UNIT}))?(?!\w)")


def pattern(text: str) -> tuple[str, ...]:
    """What stands between the numbers of a text: equal for sentences that `merged` can tell as one."""
    return tuple(_NUMBER.split(text))


def merged(texts: Sequence[str]) -> str:
    """One sentence for texts of one `pattern`: numbers that differ become "LEAST to LARGEST"."""
    words = pattern(texts[0])
    columns = zip(*(_NUMBER.findall(text) for text in texts), strict=True)
    numbers = [_range(found) for found in columns]
    return "".join(word + number for word, number in zip(words, [*numbers, ""], strict=True))


def _range(found: Sequence[str]) -> str:
    if len(set(found)) == 1:
        return found[0]
    ordered = sorted(found, key=_size)
    low, high = ordered[0], ordered[-1]
    unit = _unit(high)
    return f"{low.removesuffix(unit).rstrip() if unit == _unit(low) else low} to {high}"


def _unit(number: str) -> str:
    return number.lstrip("-0123456789.e+ ")


def _size(number: str) -> float:
    unit = _unit(number)
    return float(number.removesuffix(unit)) * _UNITS.get(unit, 1.0)
