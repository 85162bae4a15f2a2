"""What deployment asks of an artifact beside a latency: one value of a record, a field for each question."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

from .energy import MeteredEnergy
from .load import LoadCurve
from .memory import Memory
from .options import Options
from .placed import Placed
from .sustained import Sustained


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """Each field is None where it was not asked, or the device could not tell: `untold` has then the reason,
    by the metric that it would have had. `options` is how a finalist is run, with what was tried."""

    options: Options | None = None
    placed: Placed | None = None
    untold: dict[str, str] = field(default_factory=dict)

    memory: Memory | None = None
    sustained: Sustained | None = None
    energy: MeteredEnergy | None = None
    load: LoadCurve | None = None

    def with_all_of(self, other: Deployed) -> Deployed:
        """This with what the other one knows in its place."""
        known = {f.name: getattr(other, f.name) for f in fields(other) if f.name != "untold"}
        told = {name: value for name, value in known.items() if value is not None}
        return replace(self, **told, untold={**self.untold, **other.untold})


NOTHING_ASKED = Deployed()
