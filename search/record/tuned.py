"""What tuning a candidate took and brought."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...profiles.quantity import Quantity


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """`seconds` are those of all sessions, also where the candidate found its tuning in the store. `facts` is
    what the backend had to tell: trials, tasks, tasks_known and the like. `untuned_ms` is the latency of the
    same structure without it (None: not known), `note` says why it ended before its time."""

    seconds: float
    facts: dict[str, int | float | str] = field(default_factory=dict)
    untuned_ms: Quantity | None = None
    note: str = ""
