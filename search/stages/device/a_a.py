"""An A/A of the reference: what processes of one model differ by on the device, with these threads."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ....backends.measure.samples import LatencyPlan, Rounds, against_itself
from ....backends.measure.spread import Spread, spread_among
from ...record.timing import Timing
from ...store.store import Entry, Store
from .again import Again
from .keys import spread_key
from .runners import Runners

ROUNDS_FILE = "rounds.json"


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What an A/A has told: `spread` is None where too few processes could be compared."""

    key: str
    spread: Spread | None
    timing: Timing


class AgainstItself:
    """Takes the A/A once for each reference; from then on it is answered from the store."""

    def __init__(self, store: Store, runners: Runners, announce: Callable[[str], None], again: Again) -> None:
        self._store, self._runners, self._announce, self._again = store, runners, announce, again
        self._known: Compared | None = None

    def of_reference(self, plan: LatencyPlan) -> Compared:
        """What the reference's processes differ by, all of them measured in the same rounds.

        Raises:
            StageError: it does not run.
        """
        searching = plan
        plan = against_itself(plan)
        runs = self._runners.deployment
        key = spread_key(self._runners.reference_key, runs.device, runs.batch, runs.threads, plan)
        if self._known is None or self._known.key != key:
            self._known = self._found(key, plan, searching)
        return self._known

    def _found(self, key: str, plan: LatencyPlan, searching: LatencyPlan) -> Compared:
        def make(into: Path) -> Mapping[str, Any]:
            self._announce("compare processes of the reference")
            with self._runners.lease.held():
                rounds = self._runners.against_itself(plan)
            (into / ROUNDS_FILE).write_text(json.dumps(rounds.to_json()))
            return {"cores": list(self._runners.cores)}

        provenance = {"reference": self._runners.reference_key}
        entry = self._store.produce("spread", key, provenance, self._again.sturdy(make))
        seen = spread_among(read_rounds(entry))
        used = seen or Spread(deviation=plan.process_spread)
        timing = Timing(
            process_spread=used.deviation,
            processes=used.processes,
            told_apart=used.told_apart(searching),
            cores=self._runners.cores,  # of this session: an earlier one may have had others
        )
        return Compared(key=key, spread=seen, timing=timing)


def read_rounds(entry: Entry) -> Rounds:
    """The raw latency samples of a "measure" or a "spread" entry."""
    return entry.read(ROUNDS_FILE, lambda path: Rounds.from_json(json.loads(path.read_text())))
