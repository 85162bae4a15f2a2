"""Words about the state of a device."""

from __future__ import annotations

from collections.abc import Iterable

from .state import Quota


def quota_text(quota: Quota, *, counted: bool = True) -> str:
    """ "the time of 1.5 cores; 12 of 300 periods were cut short"."""
    said = f"the time of {quota.cores:.4g} {'core' if quota.cores == 1 else 'cores'}"
    cut = f"; {quota.throttled} of {quota.periods} periods were cut short"
    return said + (cut if quota.periods and counted else "")


def span(values: Iterable[float]) -> tuple[float, float]:
    """Least and largest."""
    found = list(values)
    return min(found), max(found)
