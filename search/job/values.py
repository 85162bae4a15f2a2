"""Values of a study file: numbers as they are written, quantities with units, one or several of a kind.

Text is never taken for a number, nor a truth value for one; each number has bounds beyond which nothing runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field

from ...profiles.errors import UserError
from ...profiles.text.named import Line
from ...profiles.text.units import parse_bytes, parse_duration_s, parse_quantity

T = TypeVar("T")

_DAY = 86400.0
_LEAST_LOAD_S, _MOST_LOAD_S = 1.0, 3600.0


def said(parse: Callable[[str], T], text: str) -> T:
    """What `parse` makes of a text, with its refusal as one that pydantic collects.

    Raises:
        ValueError: the text is refused.
    """
    try:
        return parse(text)
    except UserError as error:
        accepted = f"; accepted: {error.accepted}" if error.accepted else ""
        raise ValueError(f"{error.problem}{accepted}") from None


def _if_text(parse: Callable[[str], Any]) -> BeforeValidator:
    return BeforeValidator(lambda value: said(parse, value) if isinstance(value, str) else value)


def _a_load(seconds: float) -> float:
    if seconds and not _LEAST_LOAD_S <= seconds <= _MOST_LOAD_S:
        raise ValueError(f"accepted: 0, or {_LEAST_LOAD_S:g} s to {_MOST_LOAD_S:g} s")
    return seconds


def _up_to_days(days: int, *, or_none: bool = False) -> AfterValidator:
    def check(seconds: float) -> float:
        if not 0 < seconds <= days * _DAY and not (or_none and seconds == 0):
            least = "0 or more" if or_none else "above 0"
            raise ValueError(f"no time to wait for; accepted: {least} and up to {days} d")
        return seconds

    return AfterValidator(check)


def one_or_many(value: object) -> object:
    """A list as it is, a single value as a list of one."""
    return tuple(value) if isinstance(value, list) else value if value is None else (value,)


def _each_once(values: tuple[T, ...]) -> tuple[T, ...]:
    if not values:
        raise ValueError("is an empty list: leave it out, or name at least one value")
    if len(set(values)) != len(values):
        raise ValueError("names a value twice")
    return values


Number = Annotated[float, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
CountOrNone = Annotated[int, Field(strict=True, ge=0, le=1_000_000)]
Threads = Annotated[int, Field(strict=True, ge=1, le=1024)]
Seconds = Annotated[Number, _if_text(parse_duration_s), _up_to_days(1000)]
Guarded = Annotated[Number, _if_text(parse_duration_s), _up_to_days(20)]
"""A time that is waited for: operating systems count the milliseconds of one wait in 31 bits."""
Patience = Annotated[Number, _if_text(parse_duration_s), _up_to_days(20, or_none=True)]
"""A time that is waited for, or none."""
Load = Annotated[Number, _if_text(parse_duration_s), AfterValidator(_a_load)]
"""A time under load, or none."""
Bytes = Annotated[int, _if_text(parse_bytes), Field(strict=True, gt=0, le=2**60)]
Share = Annotated[Number, _if_text(lambda text: parse_quantity(text, "share"))]
Axis = Annotated[int, Field(strict=True)] | Number | Flag | Line
"""A value of an argument of the workload's student builder."""
Many = Annotated[tuple[T, ...], BeforeValidator(one_or_many)]
Several = Annotated[tuple[T, ...], BeforeValidator(one_or_many), AfterValidator(_each_once)]
