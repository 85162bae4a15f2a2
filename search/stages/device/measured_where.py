"""Which device of a pool has measured, as the entry of a measurement tells."""

from __future__ import annotations

from ....backends.measure.samples import REFERENCE, Rounds
from ....backends.measure.spread import Spread
from ....backends.measure.summary import summarize
from ...record.where import Where
from ...store.store import Entry
from .deployment import DEVICE


def measured_where(entry: Entry, rounds: Rounds, spread: Spread | None) -> Where | None:
    """The device, and what the reference took there, where that was seen now; None where there is no pool."""
    device = entry.meta.get(DEVICE)
    if not device:
        return None
    return Where(
        device=str(device),
        reference_ms=None if entry.cached else summarize(rounds, REFERENCE, spread).latency_ms,
    )
