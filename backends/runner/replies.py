"""What a runner answers, taken in: its errors become ours, and no number passes unchecked.

A backend of others' or a device at the end of a line may say anything; what is none of the numbers that it
should be fails the stage here, before it is stored or counted on.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isfinite
from pathlib import Path
from typing import Any

from ...profiles.errors import StageError, UnsupportedError, UserError
from ...profiles.precision import Precision
from ..contract.backend import Artifact, TensorSpec
from .child import lacked_memory

LOG_BYTES = 4096


def raise_error(body: Mapping[str, Any], stage: str, memory_bytes: int | None) -> None:
    """Raise what the reply says went wrong; nothing where it is no error. `memory_bytes` is the limit."""
    kind = body.get("error")
    if kind is None:
        return
    if kind == "unsupported":
        raise UnsupportedError(body["reason"])
    if kind == "user":
        parts = {name: body[name] for name in ("place", "found", "accepted", "remedy")}
        raise UserError(body["problem"], **parts)
    cause = str(body["cause"])
    lacked = kind == "memory" or lacked_memory(cause)
    if memory_bytes is not None and lacked:
        cause += f"; {over_limit(memory_bytes)}"
    # A stage that failed on its own terms names itself: "compile", also where it was asked for as "infer".
    where, log = str(body.get("stage", stage)), str(body["log"])[-LOG_BYTES:]
    disagrees, outside = bool(body.get("disagrees", False)), lacked and memory_bytes is None
    raise StageError(where, cause, log, disagrees=disagrees, outside=outside)


def over_limit(memory_bytes: int) -> str:
    """In words, what a runner may take."""
    return f"the limit is {memory_bytes / 1e6:.0f} MB of memory"


def number(value: Any, name: str, stage: str, *, most: float = inf) -> float:
    """A number that a runner told: finite, not negative, at most `most`.

    Raises:
        StageError: it is not; the cause names it.
    """
    right = isinstance(value, int | float) and not isinstance(value, bool)
    if right and isfinite(value) and 0 <= value <= most:
        return float(value)
    wanted = "0 or more" if most == inf else f"between 0 and {most:g}"
    raise StageError(stage, f"{name} is {value!r}, and has to be a number, {wanted}")


def whole(value: Any, name: str, stage: str, *, least: int = 0) -> int:
    """As `number`, for one without a fraction, of at least `least`.

    Raises:
        StageError: it is not; the cause names it.
    """
    found = number(value, name, stage)
    if found < least or not found.is_integer():
        raise StageError(stage, f"{name} is {value!r}, and has to be a whole number, {least} or more")
    return int(value)


def nanoseconds(values: Any, count: int) -> list[int]:
    """What a runner told of `count` timed samples.

    Raises:
        StageError: they are no durations, or not so many; or no time passed at all.
    """
    found = [whole(value, "a sample in nanoseconds", "measure") for value in values]
    if len(found) != count:
        raise StageError("measure", f"{len(found)} samples came, {count} were asked for")
    if count and not any(found):
        raise StageError("measure", "the latency is 0 ns in every sample: no clock ran")
    return found


def artifact(found: Mapping[str, Any], path: Path) -> Artifact:
    """An artifact as a runner described it, whose file lies at `path` here.

    Raises:
        StageError: a figure of it is none.
    """
    share, weights = found["zero_share"], found["weight_bytes"]
    figures = {
        "size_bytes": whole(found["size_bytes"], "size_bytes", "compile", least=1),
        "weight_bytes": {k: whole(v, f"weight_bytes of {k}", "compile") for k, v in weights.items()},
        "zero_share": None if share is None else number(share, "zero_share", "compile", most=1.0),
    }
    words = {"path": path, "precision": Precision(found["precision"]), "notes": tuple(found["notes"])}
    return Artifact(**{**found, **words, **figures})


def specs(found: list[dict[str, Any]]) -> tuple[TensorSpec, ...]:
    """The signature of a session as a runner told it."""
    return tuple(TensorSpec(**{**spec, "shape": tuple(spec["shape"])}) for spec in found)
