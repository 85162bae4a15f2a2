"""Values that a runner told, read as what they have to be: the one place through which they come in.

A backend of others' or a device at the end of a line may say anything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, TypeVar

from ...profiles.errors import StageError
from ...profiles.words import listed, printable
from ..contract.backend import Array

T = TypeVar("T")
Reader = Callable[[Any, str], T]
"""From a value and what messages call it to what it means; ValueError where it means nothing."""

MOST = 1e18
"""Of any number: beyond it no time, size or count is one."""
_SHOWN, _PLAIN_BYTES, _DEEPEST = 120, 2**20, 8


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What `device` answered to `operation`, which belongs to `stage`. `away`: it is not this machine."""

    device: str
    operation: str
    stage: str
    away: bool = False
    body: Mapping[str, Any]
    arrays: Mapping[str, Array] = field(default_factory=dict)

    def read(self, name: str, reader: Reader[T], *usual: T) -> T:
        """A field of the body; `usual` is what one means that is not there.

        Raises:
            StageError: it is missing or means nothing; names the device, the operation and what came.
        """
        if name not in self.body and usual:
            return usual[0]
        if name not in self.body:
            raise self.wrong(f"{name} is missing, there is {listed(map(repr, self.body)) or 'nothing'}")
        try:
            return reader(self.body[name], name)
        except ValueError as error:
            raise self.wrong(str(error)) from None

    def array(self, name: str) -> Array:
        """An array by its name.

        Raises:
            StageError: it is missing.
        """
        if name not in self.arrays:
            came = listed(map(repr, self.arrays)) or "none"
            raise self.wrong(f"an array {name!r} is missing, there is {came}")
        return self.arrays[name]

    def wrong(self, what: str) -> StageError:
        """The error that this answer is."""
        return self.error(printable(f"{what} (the answer of {self.device} to `{self.operation}`)"))

    def error(self, cause: str, log: str = "", *, stage: str = "", **flags: bool) -> StageError:
        """An error of the stage that the operation belongs to, or another, on this device."""
        where = self.device if self.away else ""
        return StageError(stage or self.stage, cause, log, device=where, **flags)


def number(value: Any, name: str, *, most: float = MOST) -> float:
    """Finite, not negative, at most `most`."""
    right = isinstance(value, int | float) and not isinstance(value, bool)
    # Compared first: an integer may be too large to be a float.
    if right and 0 <= value <= most and isfinite(value):
        return float(value)
    raise _no(value, name, "a number, " + ("0 or more" if most == MOST else f"between 0 and {most:g}"))


def share(value: Any, name: str) -> float:
    """Between 0 and 1."""
    return number(value, name, most=1.0)


def whole(value: Any, name: str, *, least: int = 0) -> int:
    """As `number`, without a fraction, of at least `least`."""
    try:
        found = number(value, name)
    except ValueError:
        found = -1.0
    if found < least or not found.is_integer():
        raise _no(value, name, f"a whole number, {least} or more")
    return int(value)


def text(value: Any, name: str) -> str:
    """Text, made printable."""
    return printable(verbatim(value, name))


def verbatim(value: Any, name: str) -> str:
    """Text as it came, say a path that is sent back: not to be shown."""
    if not isinstance(value, str):
        raise _no(value, name, "text")
    return value


def flag(value: Any, name: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise _no(value, name, "true or false")
    return value


def list_of(reader: Reader[T]) -> Reader[tuple[T, ...]]:
    """A list of such values."""

    def read(value: Any, name: str) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise _no(value, name, "a list")
        return tuple(reader(one, f"{name}[{place}]") for place, one in enumerate(value))

    return read


def map_of(reader: Reader[T]) -> Reader[dict[str, T]]:
    """A mapping of names to such values."""

    def read(value: Any, name: str) -> dict[str, T]:
        found = mapping(value, name)
        return {text(key, name): reader(one, f"{name} of {key}") for key, one in found.items()}

    return read


def mapping(value: Any, name: str) -> Mapping[str, Any]:
    """A mapping of names to anything."""
    if not isinstance(value, dict):
        raise _no(value, name, "a mapping")
    return value


def maybe(reader: Reader[T]) -> Reader[T | None]:
    """Such a value, or none."""
    return lambda value, name: None if value is None else reader(value, name)


def plain(value: Any, name: str) -> Any:
    """Text, finite numbers, and lists and mappings of them: not deep, and not much."""
    found = _plain(value, name, _DEEPEST)
    if len(json.dumps(found)) > _PLAIN_BYTES:
        raise ValueError(f"{name} holds more than {_PLAIN_BYTES} bytes")
    return found


def _plain(value: Any, name: str, depth: int) -> Any:
    if isinstance(value, dict | list) and not depth:
        raise ValueError(f"{name} is nested too deeply")
    if isinstance(value, dict):
        return {printable(key): _plain(one, f"{key} of {name}", depth - 1) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one, name, depth - 1) for one in value]
    if isinstance(value, str):
        return printable(value)
    if value is None or isinstance(value, bool) or (abs(value) <= MOST and isfinite(value)):
        return value
    raise _no(value, name, "a finite number")


def _no(value: Any, name: str, wanted: str) -> ValueError:
    shown = repr(value) if isinstance(value, str | float | bool | None) else str(value)[:_SHOWN]
    shown = shown if len(shown) <= _SHOWN else shown[: _SHOWN - 3] + "..."
    return ValueError(f"{name} is {shown}, and has to be {wanted}")
