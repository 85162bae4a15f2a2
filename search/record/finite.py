"""What enters a record is checked once: numbers are finite, text can be written.

JSON has no infinity and no NaN. A number that is none is left out with what it makes meaningless (its
quantity, its point of a curve), and named; one that may be missing (the end of an interval) is missing then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import cache
from math import isfinite
from typing import Any, TypeVar, get_args, get_type_hints

import numpy as np

from .candidate import Candidate
from .evaluation import Evaluation, Outcome

UNMEASURED = 1e30
"""How far a limit on what was not measured is missed, as it is kept."""

T = TypeVar("T")
_LOST = object()


def sound(evaluation: Evaluation) -> Evaluation:
    """The evaluation as it can be kept; `failed` where it holds a number that is none."""
    missed = {text: min(max(v, -UNMEASURED), UNMEASURED) for text, v in evaluation.violations.items()}
    kept, lost = finite(replace(evaluation, violations=missed))
    if not lost or kept.outcome not in (Outcome.COMPLETE, Outcome.GATED):
        return kept
    more = f", and {len(lost) - 1} more" if len(lost) > 1 else ""
    cause = f"a number that is none cannot be kept: {lost[0]}{more}"
    return replace(kept, outcome=Outcome.FAILED, reason="", stage="record", cause=cause)


def finite(value: T) -> tuple[T, tuple[str, ...]]:
    """The value (a dataclass of records, or plain data) as it can be written, and what was left out of it:
    "metrics.accuracy.value is nan"."""
    lost: list[str] = []
    kept = _kept(value, "", lost)
    return (value if kept is _LOST else kept), tuple(lost)


def _kept(value: Any, place: str, lost: list[str]) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not isfinite(value):
        lost.append(f"{place} is {value}")
        return _LOST
    if isinstance(value, str) and not isinstance(value, Enum):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        found = {_kept(k, place, lost): _kept(v, _joined(place, k), lost) for k, v in value.items()}
        return {key: kept for key, kept in found.items() if kept is not _LOST}
    if isinstance(value, list | tuple):
        return _sequence(value, place, lost)
    if is_dataclass(value) and not isinstance(value, type | Candidate):  # a study file's numbers are checked
        return _dataclass(value, place, lost)
    return value


def _sequence(value: list[Any] | tuple[Any, ...], place: str, lost: list[str]) -> Any:
    """Numbers that stand together (a point of a curve) go together."""
    found = [_kept(one, f"{place}[{number}]", lost) for number, one in enumerate(value)]
    left = [one for one in found if one is not _LOST]
    together = len(left) < len(found) and all(isinstance(one, int | float) for one in value)
    return _LOST if together else type(value)(left)


def _dataclass(value: Any, place: str, lost: list[str]) -> Any:
    changed: dict[str, Any] = {}
    whole = True
    for name, may_be_missing in _fields(value.__class__).items():
        before, said = getattr(value, name), len(lost)
        if _plain(before):
            continue
        kept = _kept(before, _joined(place, name), lost)
        if kept is _LOST and may_be_missing:
            kept = None
            del lost[said:]
        whole = whole and kept is not _LOST
        if kept is not before:
            changed[name] = kept
    if not whole:
        return _LOST
    return replace(value, **changed) if changed else value


def _plain(value: Any) -> bool:
    """Whether nothing of it could be lost, as of most."""
    kind = value.__class__
    return (
        value is None
        or kind is bool
        or kind is int
        or (kind is str and value.isascii())
        or (kind is float and isfinite(value))
    )


@cache
def _fields(kind: Any) -> dict[str, bool]:
    """Its fields, and whether None is a value of each."""
    hints = get_type_hints(kind)
    return {field.name: type(None) in get_args(hints[field.name]) for field in fields(kind)}


def _joined(place: str, name: object) -> str:
    return f"{place}.{name}" if place else str(name)
