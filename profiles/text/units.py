"""Quantities that users write as text with a unit ("5 ms", "500 kB", "98 %"), read in one place.

One table says which units each dimension accepts. Time has no bare numbers and neither do bytes: a number
without a unit there is an error, because guessing it would be a factor of a thousand.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from ..errors import UserError
from ..words import one_line


@dataclass(frozen=True, kw_only=True)
class Dimension:
    """What can be measured: factors of the units to the base unit that `parse_quantity` returns.

    The unit "" stands for a bare number; where it is missing from `factors`, a unit must be written.
    """

    title: str
    factors: Mapping[str, float]
    shown: tuple[str, ...]
    example: str


_BYTES = {"B": 1.0}
_BYTES |= {f"{prefix}B": 1000.0**power for power, prefix in enumerate(("k", "M", "G", "T"), start=1)}
_BYTES |= {f"{prefix}iB": 1024.0**power for power, prefix in enumerate(("K", "M", "G", "T"), start=1)}
_BYTES |= {"KB": 1000.0, "kiB": 1024.0, "byte": 1.0, "bytes": 1.0}

_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
# The micro sign and the Greek letter look alike; keyboards produce both.
_SECONDS |= {"\u00b5s": 1e-6, "\u03bcs": 1e-6, "sec": 1.0, "seconds": 1.0, "minutes": 60.0, "hours": 3600.0}

_SHARES = dict.fromkeys(("%", "percent", "pt", "pts", "point", "points", "pp"), 0.01)

DIMENSIONS: Mapping[str, Dimension] = {
    "time_ms": Dimension(
        title="a time",
        factors={unit: seconds * 1e3 for unit, seconds in _SECONDS.items()},
        shown=("ns", "us", "ms", "s", "min", "h", "d"),
        example="5 ms",
    ),
    "bytes": Dimension(
        title="a number of bytes",
        factors=_BYTES,
        shown=("B", "kB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB"),
        example="500 kB",
    ),
    "count": Dimension(
        title="a count",
        factors={"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9},
        shown=("no unit", "k", "M", "G"),
        example="1.2 M",
    ),
    "rate": Dimension(
        title="a rate",
        factors={"/s": 1.0, "/min": 1 / 60, "/h": 1 / 3600, "qps": 1.0, "k/s": 1e3},
        shown=("/s", "/min", "/h", "qps"),
        example="50 /s",
    ),
    "energy_mj": Dimension(
        title="an energy",
        factors={"nJ": 1e-6, "uJ": 1e-3, "\u00b5J": 1e-3, "\u03bcJ": 1e-3, "mJ": 1.0, "J": 1e3, "Wh": 3.6e6},
        shown=("uJ", "mJ", "J", "Wh"),
        example="3 mJ",
    ),
    "usd": Dimension(
        title="an amount of money",
        factors={"USD": 1.0, "$": 1.0, "usd": 1.0, "cent": 0.01, "cents": 0.01},
        shown=("USD", "cents"),
        example="0.20 USD",
    ),
    "decibels": Dimension(
        title="a number of decibels", factors={"": 1.0, "dB": 1.0}, shown=("no unit", "dB"), example="30 dB"
    ),
    "number": Dimension(
        title="a number", factors={"": 1.0, **_SHARES}, shown=("no unit", "% (2 % is 0.02)"), example="1.5"
    ),
    "share": Dimension(
        title="a share",
        factors={"": 1.0, **_SHARES},
        shown=("no unit (0.98)", "% (98 %)", "pt (1 pt = 0.01)"),
        example="98 %",
    ),
}

_MOST_BYTES = 2**62
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_UNIT = r"%|\$|[^\W\d_]*(?:/[^\W\d_]+)?"
_QUANTITY = re.compile(rf"\s*({_NUMBER})\s*({_UNIT})\s*")


def parse_quantity(text: str, dimension: str) -> float:
    """Read `text` as a quantity of the dimension "time_ms", "bytes", "count", "number" or "share".

    Returns the value in the base unit: milliseconds, bytes, a plain number, a share (98 % is 0.98).

    Raises:
        UserError: the text is no number with a unit, the unit is unknown or missing, or it is not finite.
        KeyError: there is no such dimension.
    """
    kind = DIMENSIONS[dimension]
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise _refusal(f"not {kind.title}", text, kind)
    number, unit = match.groups()
    if unit not in kind.factors:
        raise _refusal(f"unknown unit {unit!r}" if unit else "a unit is missing", text, kind)
    value = _product(number, kind.factors[unit])
    if not math.isfinite(value):
        raise _refusal("not a finite number", text, kind)
    if value == 0 and any(digit in "123456789" for digit in re.split("[eE]", number)[0]):
        raise _refusal("too small a number", text, kind)
    if dimension == "share" and unit == "" and abs(value) > 1:
        raise _refusal("a share above 1 without a unit: per cent?", text, kind)
    return value


def _product(number: str, factor: float) -> float:
    """The number closest to what is written: 69 % is 0.69 and nothing beside it."""
    if not math.isfinite(float(number)) or float(number) == 0:
        return float(number) * factor
    return float(Decimal(number) * Decimal(repr(factor)))


def parse_duration_s(text: str) -> float:
    """Read a time such as "5 ms" or "10 min"; returns seconds.

    Raises:
        UserError: as `parse_quantity`, or the time is negative.
    """
    return _not_negative(parse_quantity(text, "time_ms"), text, "time_ms") / 1e3


def parse_bytes(text: str) -> int:
    """Read a size such as "500 kB" (decimal) or "2 MiB" (binary); returns whole bytes. Parts of a byte are
    left over by larger units alone: 7.6 GiB, but not 1.5 B.

    Raises:
        UserError: as `parse_quantity`, or the size is negative, or larger than anything.
    """
    value = _not_negative(parse_quantity(text, "bytes"), text, "bytes")
    if value != round(value) and re.search(r"[\d.]\s*[Bb](ytes?)?\s*$", text):
        raise _refusal("a part of a byte", text, DIMENSIONS["bytes"])
    if value > _MOST_BYTES:
        raise _refusal("more than any device has", text, DIMENSIONS["bytes"])
    return round(value)


def _not_negative(value: float, text: str, dimension: str) -> float:
    if value < 0:
        raise _refusal("must not be negative", text, DIMENSIONS[dimension])
    return value


def _refusal(problem: str, text: str, kind: Dimension) -> UserError:
    return UserError(
        problem,
        found=one_line(repr(text), 80),
        accepted=f"{', '.join(kind.shown)}; for example {kind.example!r}",
    )
