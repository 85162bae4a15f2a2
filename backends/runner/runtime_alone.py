"""What a runtime takes in memory before any model is loaded, in a fresh process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..measure.memory import resident_bytes
from ..registry import availability


def told_of_runtime(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a runner answers to "runtime": what it holds more once the runtime is imported."""
    before = resident_bytes()
    found = availability(str(body["backend"]))
    return {"held_bytes": max(0, resident_bytes() - before) if found.installed else None}
