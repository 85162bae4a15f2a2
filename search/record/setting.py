"""How an artifact is run where it is deployed: what changes the numbers of the hardware alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ...profiles.words import counted

THREADS, BATCH = "threads", "batch"


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Threads, batch size, and what the runtime is told: `options` holds those values of
    `Backend.options` that differ from their defaults."""

    batch: int = 1
    threads: int = 1
    options: Mapping[str, str] = field(default_factory=dict)

    def with_change(self, axis: str, value: str) -> Setting:
        """This with another value on one axis: `threads`, `batch`, or an option."""
        if axis == THREADS:
            return replace(self, threads=int(value))
        if axis == BATCH:
            return replace(self, batch=int(value))
        return replace(self, options={**self.options, axis: value})

    def changes_from(self, other: Setting) -> dict[str, str]:
        """What differs from another setting, by axis; an option that is back at its default is ""."""
        plain = {
            axis: str(getattr(self, axis))
            for axis in (THREADS, BATCH)
            if getattr(self, axis) != getattr(other, axis)
        }
        names = dict.fromkeys((*other.options, *self.options))
        there = {name: self.options.get(name, "") for name in names}
        return plain | {name: v for name, v in there.items() if v != other.options.get(name, "")}

    @property
    def text(self) -> str:
        """ "2 threads, batch 8, spinning off"."""
        told = [f"{name} {value}" for name, value in sorted(self.options.items())]
        return ", ".join([counted(self.threads, "thread"), f"batch {self.batch}", *told])
