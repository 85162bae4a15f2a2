"""A fixed piece of work that every device can be timed by: numpy alone, the same on all of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from ..contract.backend import Array, Feed, Session, TensorSpec
from .cores import hold_on
from .timing import sample

SIZE = 128


class FixedWork(Session):
    """A matrix product and a nonlinearity in float32, as networks are made of: 4 million operations."""

    inputs = (TensorSpec(name="x", dtype="float32", shape=(SIZE, SIZE)),)
    outputs = (TensorSpec(name="y", dtype="float32", shape=(SIZE, SIZE)),)

    def _run(self, feed: Feed) -> dict[str, Array]:
        return {"y": np.tanh(feed["x"] @ feed["x"])}

    def close(self) -> None:
        """There is nothing to free."""


@cache
def _ready(wanted: tuple[int, ...]) -> tuple[FixedWork, dict[str, Array], tuple[int, ...]]:
    """The work, held on one core as a session of one thread is, and that core."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ()
    feed = {"x": np.random.default_rng(0).standard_normal((SIZE, SIZE), dtype=np.float32) / SIZE}
    return FixedWork(), feed, hold_on(1, allowed, wanted) if allowed else ()


def timed_work(body: Mapping[str, Any]) -> dict[str, Any]:
    """Nanoseconds of `count` samples of `loops` runs of the fixed work, and the cores it is held on: the
    named ones, where it can be."""
    work, feed, cores = _ready(tuple(map(int, body.get("cores", ()))))
    return {"nanoseconds": sample(work, feed, int(body["loops"]), int(body["count"])), "cores": list(cores)}
