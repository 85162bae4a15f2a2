"""What a backend that has to be tuned may come to for a candidate, from what other runtimes have for the same
model, and from how earlier tunings compared with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ..record.candidate import Candidate
from ..record.evaluation import Outcome, Quantity, TrialRecord
from ..record.quality import QualityScale
from ..record.training import TrainingKey, training_key

PRIOR = 0.5
"""Before the backend was tuned at a precision: at best, half of what the best other runtime takes."""
FOR_BETTER = 1.5
"""A tuning may turn out so many times quicker than the best one before, each against other runtimes."""
PRACTICALLY = 1.05
"""Sizes that differ by less are no reason to tune anything: they vary little between models."""
OF_THE_MODEL = ("macs", "parameters")
_TIMES = ("latency", "load", "first_inference")


@dataclass(frozen=True, kw_only=True)
class Hoped:
    """The best that a tuning may bring: the quality that the model has on another runtime, and its costs."""

    goodness: float
    metrics: Mapping[str, Quantity]


class Tunings:
    """Learns the complete trials. `backends` are those that have to be tuned, `others` says whether the space
    has any that has not: by these candidates are judged."""

    def __init__(self, scale: QualityScale, backends: Collection[str] = (), *, others: bool = True) -> None:
        self.backends, self.others, self._scale = frozenset(backends), others, scale
        self._elsewhere: dict[TrainingKey, list[TrialRecord]] = defaultdict(list)
        self._tuned: dict[str, list[TrialRecord]] = defaultdict(list)

    def learn(self, record: TrialRecord) -> None:
        """Take in a trial; of other runtimes, those that compute in float as well."""
        candidate = record.evaluation.candidate
        if not self.backends or not record.ended(Outcome.COMPLETE):
            return
        if candidate.backend in self.backends:
            self._tuned[candidate.backend].append(record)
        elif not candidate.precision.decoded.integer:
            self._elsewhere[training_key(candidate)].append(record)

    def hoped(self, candidate: Candidate) -> Hoped | None:
        """None where no other runtime has run the model yet, so that nothing can be said."""
        records = self._elsewhere.get(training_key(candidate), [])
        qualities = [r.evaluation.metrics[self._scale.metric].value for r in _at(candidate, records)]
        if not qualities:
            return None
        names = dict.fromkeys(name for record in records for name in record.evaluation.metrics)
        metrics = {name: self._best(candidate, name, records) for name in names if name != self._scale.metric}
        return Hoped(
            goodness=max(map(self._scale.goodness, qualities)),
            metrics={name: Quantity(value=value) for name, value in metrics.items() if value is not None},
        )

    def _best(self, candidate: Candidate, name: str, records: list[TrialRecord]) -> float | None:
        there = _least(name, records if _is_time(name) else _at(candidate, records))
        return None if there is None else there * self._factor(candidate, name)

    def _factor(self, candidate: Candidate, name: str) -> float:
        """What the least number of other runtimes is multiplied by."""
        if name in OF_THE_MODEL:
            return 1.0
        before = self._tuned[candidate.backend]
        same = [r for r in before if r.evaluation.candidate.precision is candidate.precision]
        ratios = [ratio for record in same or before if (ratio := self._ratio(record, name)) is not None]
        if not ratios:
            return PRIOR
        if not _is_time(name):
            return min(ratios) * PRACTICALLY
        return min(ratios) / FOR_BETTER if same else min(ratios) * PRIOR

    def _ratio(self, record: TrialRecord, name: str) -> float | None:
        """A tuned candidate's number over the least that other runtimes have for the same model."""
        candidate, own = record.evaluation.candidate, record.evaluation.metrics.get(name)
        records = self._elsewhere.get(training_key(candidate), [])
        least = _least(name, records if _is_time(name) else _at(candidate, records))
        return own.value / least if own is not None and least else None


def _at(candidate: Candidate, records: list[TrialRecord]) -> list[TrialRecord]:
    """Those at the candidate's precision, where there are any."""
    same = [r for r in records if r.evaluation.candidate.precision is candidate.precision]
    return same or records


def _least(name: str, records: list[TrialRecord]) -> float | None:
    found = (record.evaluation.metrics.get(name) for record in records)
    return min((quantity.value for quantity in found if quantity is not None), default=None)


def _is_time(name: str) -> bool:
    return name.startswith(_TIMES)
