"""Two fronts side by side: one study on its own device, and retargeted to another.

Numbers of two devices are never compared with one another: places are, and what a configuration loses against
the best of its own device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...search.ranking.ranking import Ranked, latency_metric
from ...search.ranking.reading import Reading
from ...search.ranking.verdict import DO_NOTHING, MET
from ...search.record.candidate import Candidate
from ...search.record.evaluation import TrialRecord
from ...search.record.metrics import metric_info
from .both_in_words import absent, device_names, over_text, own_trials, sentences
from .treatments import treatment_tags
from .views import DASH, Cell, cell, why


@dataclass(frozen=True, kw_only=True)
class OnDevice:
    """A configuration on one device: its trial and rank, or why it has none. `cells` are quality, latency and
    size; `place` is its place among those shown that were ranked there (None: it was not)."""

    number: int | None
    rank: str
    place: int | None
    outcome: str
    reason: str
    cells: tuple[Cell, ...]
    tags: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """Its trial and rank, or how it ended, in a few words."""
        if self.number is None:
            return self.outcome
        return f"#{self.number}, rank {self.rank}" if self.rank else f"#{self.number} {self.outcome}"


@dataclass(frozen=True, kw_only=True)
class BothRow:
    """A configuration on both devices."""

    title: str
    backend: str
    first: OnDevice
    other: OnDevice


@dataclass(frozen=True, kw_only=True)
class SideBySide:
    """The two devices, the studies on them, every configuration that is on either front, and what is to be
    said of them."""

    devices: tuple[str, str]
    studies: tuple[str, str]
    columns: tuple[str, ...]
    rows: tuple[BothRow, ...]
    sentences: tuple[str, ...]


def side_by_side(first: Reading, other: Reading) -> SideBySide:
    """Both fronts; `first` is the study whose models were reused."""
    shown = _shown(first, other)
    tables = [_all_of(reading, shown) for reading in (first, other)]
    rows = [
        BothRow(title=c.title, backend=c.backend, first=tables[0][c.digest], other=tables[1][c.digest])
        for c in shown
    ]
    metrics = (other.record.quality, latency_metric(other.record), "size_bytes")
    return SideBySide(
        devices=device_names(first.record, other.record),
        studies=(first.record.name, other.record.name),
        columns=tuple(metric_info(metric).title for metric in metrics),
        rows=tuple(rows),
        sentences=tuple(sentences(first, other)),
    )


def _shown(first: Reading, other: Reading) -> list[Candidate]:
    """The candidates on either front and those recommended, in the order of the other device, then of the
    first."""
    found: dict[str, Candidate] = {}
    for reading in (other, first):
        trials = {trial.number: trial for trial in reading.record.trials}
        named = {reading.verdict.recommended, reading.verdict.baseline}
        for entry in reading.ranking.entries:
            if entry.on_front or entry.number in named:
                candidate = trials[entry.number].evaluation.candidate
                found.setdefault(candidate.digest, candidate)
    return list(found.values())


def _all_of(reading: Reading, shown: Sequence[Candidate]) -> dict[str, OnDevice]:
    trials = own_trials(reading.record)
    entries = {entry.number: entry for entry in reading.ranking.entries}
    order = [entry.number for entry in reading.ranking.entries]
    ranked = [t.number for c in shown if (t := trials.get(c.digest)) is not None and t.number in entries]
    places = {number: place for place, number in enumerate(sorted(ranked, key=order.index), start=1)}
    return {
        candidate.digest: _there(reading, candidate, trials.get(candidate.digest), entries, places)
        for candidate in shown
    }


def _there(
    reading: Reading,
    candidate: Candidate,
    trial: TrialRecord | None,
    entries: Mapping[int, Ranked],
    places: Mapping[int, int],
) -> OnDevice:
    record = reading.record
    if trial is None:
        outcome, reason = absent(record, candidate)
        return OnDevice(
            number=None, rank="", place=None, outcome=outcome, reason=reason, cells=(Cell(text=DASH),) * 3
        )
    entry = entries.get(trial.number)
    metrics = trial.evaluation.gate if entry is None else entry.metrics
    names = (record.quality, latency_metric(record), "size_bytes")
    split = entry.source if entry is not None else ""
    return OnDevice(
        number=trial.number,
        rank="" if entry is None else f"{entry.rank}{'=' if entry.tie else ''}",
        place=places.get(trial.number),
        outcome=trial.evaluation.outcome.value,
        reason=why(trial) if entry is None else over_text(entry),
        cells=tuple(cell(name, metrics.get(name), split if name == record.quality else "") for name in names),
        tags=_tags(reading, trial, entry),
    )


def _tags(reading: Reading, trial: TrialRecord, entry: Ranked | None) -> tuple[str, ...]:
    verdict = reading.verdict
    best = trial.number == verdict.recommended
    named = "recommended" if verdict.status in (MET, DO_NOTHING) else "nearest"
    tags = [named] if best else []
    tags += ["front"] if entry is not None and entry.on_front and entry.feasible else []
    return (*tags, *treatment_tags(trial.evaluation.treatment))
