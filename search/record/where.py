"""Where a candidate was worked on, where there is a choice."""

from __future__ import annotations

from dataclasses import dataclass

from ...profiles.quantity import Quantity


@dataclass(frozen=True, kw_only=True)
class Where:
    """The `worker` (empty: the study itself), the `device` of a pool that measured (empty: there is but one),
    what the reference took there in the same rounds (None: that was answered from the store), and the seconds
    that were `waited` until the device was free."""

    worker: str = ""
    device: str = ""
    reference_ms: Quantity | None = None
    waited: float = 0.0
