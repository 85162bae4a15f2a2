"""What OpenVINO can be told about a model, and what a compiled one then says that it has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...profiles.precision import Precision
from ..contract.options import Options, RuntimeOption, chosen

STREAM = RuntimeOption(
    name="stream",
    values=("none", "own"),
    default="none",
    does="whether a model on one thread has a stream of OpenVINO's, or is computed in the caller's thread",
)
PINNING = RuntimeOption(
    name="pinning",
    values=("off", "on"),
    default="off",
    does="whether OpenVINO ties each of several threads to a core",
)
_STREAMS, _PINNED = "NUM_STREAMS", "ENABLE_CPU_PINNING"


def offered(precision: Precision, threads: int) -> tuple[RuntimeOption, ...]:
    """What can be told of a model on so many threads; several always have a stream. In bf16 other kernels are
    taken for it."""
    option = STREAM if threads == 1 else PINNING
    return (replace(option, exact=precision is not Precision.BF16),)


def told_where(threads: int, options: Options) -> dict[str, Any]:
    """Where it computes: on the cores that the harness holds the process on, and without a stream of its own
    for a single thread, unless it is told otherwise.

    Raises:
        UnsupportedError: there is no such option or value.
    """
    how = chosen(options, STREAM, PINNING)
    return {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        _STREAMS: 0 if threads == 1 and how[STREAM.name] == "none" else 1,
        _PINNED: how[PINNING.name] == "on",
    }


def taken(compiled: Any) -> dict[str, str]:
    """The values that a compiled model tells."""
    return {
        STREAM.name: "own" if int(compiled.get_property(_STREAMS)) else "none",
        PINNING.name: "on" if compiled.get_property(_PINNED) else "off",
    }
