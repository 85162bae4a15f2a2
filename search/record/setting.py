"""How an artifact is run: all of deployment that costs no training to change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Told = tuple[tuple[str, str], ...]
"""Options with their values, sorted by name."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Threads, batch, and what the runtime is told beside its defaults: `options` when it opens the artifact,
    `compiled_with` when it compiles it. Two that say the same are equal, in whatever order they say it."""

    threads: int
    batch: int
    options: Told = ()
    compiled_with: Told = ()

    def __post_init__(self) -> None:
        for name in ("options", "compiled_with"):
            given: Mapping[str, str] | Told = getattr(self, name)
            object.__setattr__(self, name, tuple(sorted(dict(given).items())))

    @property
    def title(self) -> str:
        """In words: "2 threads, batch 8, spinning = on"."""
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        told = (f"{name} = {value}" for name, value in (*self.compiled_with, *self.options))
        return ", ".join([threads, f"batch {self.batch}", *told])
