"""Latency, memory and load time of an artifact, measured now, against what was recorded of them."""

from __future__ import annotations

from dataclasses import dataclass

from ...backends.measure.samples import REFERENCE
from ...backends.measure.summary import compare, summarize
from ...profiles.quantity import Quantity
from ..checks.evidence import Evidence, Question, skipped, unpaired
from ..checks.tolerances import Tolerances
from ..stages.device.memory_seen import peak
from .inspection import Timed

BETWEEN_DAYS, WHILE_BUSY = 0.01, 0.02
"""Standard deviation of the logarithm of a ratio to the reference from one measurement to the next on one and
the same machine, beyond what the intervals of both tell; and while others keep its cores busy. docs/nights.md
has where they are from."""
MEMORY_VARIES = 0.02
"""The same of the peak of a process: what an allocator keeps, and which pages of libraries are mapped, varies
from session to session by more than from process to process."""
LOADS_VARY = 0.35
"""The same of a load time, which takes seconds of a disk and of whatever else runs: nothing is interleaved
with it."""


@dataclass(frozen=True, kw_only=True)
class CostChecks:
    """Asks what was measured, of one subject of a `Timed`; `busy`: others used the device meanwhile."""

    timed: Timed
    name: str
    tolerances: Tolerances
    busy: bool = False

    def question(self, metric: str) -> Question:
        """That of a metric."""
        return Question(subject=self.name, metric=metric, tolerance=self.tolerances.of(metric))

    def ratio(self, expected: Quantity | None) -> Evidence:
        """Its time over that of the reference, in the same rounds."""
        question = self.question("latency_ratio")
        if expected is None:
            return skipped(question, "no ratio to the reference was recorded")
        if REFERENCE not in self.timed.rounds.series:
            return skipped(question, "there is no reference to measure it against")
        found = compare(self.timed.rounds, self.name, REFERENCE)
        degrees = max(1.0, self.timed.rounds.series[self.name].processes - 1.0)
        between = WHILE_BUSY if self.busy else BETWEEN_DAYS
        return unpaired(question, expected, found, degrees=degrees, between=between)

    def latency(self) -> Quantity:
        """As it was, of a run."""
        return summarize(self.timed.rounds, self.name).latency_ms

    def memory(self, expected: Quantity | None) -> Evidence:
        """The highest peak of a process above what it held before runtime and model were loaded."""
        question = self.question("memory_bytes")
        found = self.timed.rounds.memory.get(self.name)
        if expected is None or found is None:
            return skipped(question, "none was recorded" if expected is None else "the system tells none")
        alike = self.timed.rounds.memory.get(REFERENCE)
        most = [one.most for one in found.processes]
        return unpaired(
            question, expected, peak(most, "", alike, "loading and running"), between=MEMORY_VARIES
        )

    def load(self, expected: Quantity | None) -> Evidence:
        """Until it could be run. Whatever else runs only ever adds to it: the quickest process counts."""
        question, taken = self.question("load_ms"), self.timed.load_ms[self.name]
        if expected is None:
            return skipped(question, "none was recorded")
        found = Quantity(value=min(taken), how=f"the quickest of {len(taken)} processes")
        return unpaired(question, expected, found, between=LOADS_VARY)
