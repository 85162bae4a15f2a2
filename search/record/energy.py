"""What a meter told of an artifact beside the energy above idle, which stands among the metrics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ...profiles.quantity import Quantity


@dataclass(frozen=True, kw_only=True)
class MeteredEnergy:
    """Energy of one inference in all, idle draw included, and the watts at rest; `meter` is the kind, `rail`
    what was read and `scope` what that covers, in so many `windows` of so many seconds. `verdict` is "quiet"
    or "not quiet: ..."."""

    in_all_mj: Quantity
    idle_w: float
    meter: str
    rail: str
    scope: str
    windows: int
    window_s: float
    verdict: str = ""

    @property
    def by(self) -> str:
        """Which figures belong together: "hwmon VDD_IN (module)"."""
        return f"{self.meter} {self.rail} ({self.scope})"


def different(told: Iterable[MeteredEnergy | None]) -> tuple[str, ...]:
    """The meters of figures that cannot be compared; none where all are of one."""
    by = dict.fromkeys(one.by for one in told if one is not None)
    return tuple(by) if len(by) > 1 else ()
