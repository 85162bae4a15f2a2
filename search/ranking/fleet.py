"""One configuration for several devices: the one of least regret. Numbers of two devices never meet on one
scale: each device says how much worse than its own best a candidate is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isinf

from ..record.candidate import Candidate
from ..record.evaluation import TrialRecord
from ..record.treatment import Treatment
from .distance import DistanceScale
from .known import TEST, complete_trials, searched_metrics
from .ranking import Ranked, normalised_miss
from .reading import Reading
from .verdict import EXIT_CODES, MET, NOT_MET, NOTHING_USABLE

AGGREGATE = (
    "Regret is how much farther from a device's ideal point a configuration is than the best within the "
    "limits there, by the study's weights. The least largest regret wins, then the least mean over the fleet."
)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """A configuration on one device. `miss` is by how much it misses the limits there (0: it meets them)."""

    trial: TrialRecord
    entry: Ranked
    regret: float
    miss: float


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A configuration with its place on each device where it is complete. `worst` and `mean` are regrets."""

    candidate: Candidate
    treatment: Treatment
    places: Mapping[str, Placement]
    worst: float
    mean: float

    @property
    def feasible(self) -> bool:
        """Whether it meets the limits wherever it is complete."""
        return all(place.entry.feasible for place in self.places.values())

    @property
    def miss(self) -> float:
        """By how much it misses limits, over all devices."""
        return sum(place.miss for place in self.places.values())

    @property
    def hardest(self) -> str:
        """The device where it is worst: that where it misses most, else that of its largest regret."""
        return max(self.places, key=lambda device: (self.places[device].miss, self.places[device].regret))


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """The answer for several devices.

    `contenders` are complete on all of them, best first; `partial` are complete on some alone. `by_model` is
    the least regret where each device may have its own backend: it has the place on each.
    """

    readings: Mapping[str, Reading]
    shares: Mapping[str, float]
    contenders: tuple[Contender, ...]
    partial: tuple[Contender, ...]
    by_model: Contender | None

    @property
    def best(self) -> Contender | None:
        """The one to ship, or the nearest to it; None where nothing is complete on all devices."""
        return self.contenders[0] if self.contenders else None

    @property
    def status(self) -> str:
        """As that of a verdict."""
        if self.best is None:
            return NOTHING_USABLE
        return MET if self.best.feasible else NOT_MET

    @property
    def exit_code(self) -> int:
        """As that of a verdict."""
        return EXIT_CODES[self.status]

    @property
    def rivals(self) -> tuple[Contender, ...]:
        """Those that were not measured everywhere and, by where they were, might lose less than the best."""
        best = self.best
        worst = best.worst if best is not None and best.feasible else inf
        return tuple(one for one in self.partial if one.feasible and one.worst < worst)


def fleet_of(readings: Mapping[str, Reading], shares: Mapping[str, float] | None = None) -> Fleet:
    """The configuration of least regret over these devices; `shares` is how much of the fleet each is."""
    shares = dict(shares or {})
    shares = {device: shares.get(device, 1.0) for device in readings}
    placed = {device: _places(reading) for device, reading in readings.items()}
    found: dict[tuple[Candidate, Treatment], dict[str, Placement]] = {}
    for device, places in placed.items():
        for place in places:
            evaluation = place.trial.evaluation
            found.setdefault((evaluation.candidate, evaluation.treatment), {})[device] = place
    all_of = [_contender(*key, places, shares) for key, places in found.items()]
    whole = [one for one in all_of if len(one.places) == len(readings)]
    partial = [one for one in all_of if len(one.places) < len(readings)]
    return Fleet(
        readings=readings,
        shares=shares,
        contenders=tuple(sorted(whole, key=_order)),
        partial=tuple(sorted(partial, key=lambda one: (-len(one.places), _order(one)))),
        by_model=_by_model(placed, shares),
    )


def _order(one: Contender) -> tuple[bool, float, float, float, str]:
    miss = 0.0 if one.feasible else one.miss
    return (not one.feasible, miss, one.worst, one.mean, one.candidate.title)


def _contender(
    candidate: Candidate, treatment: Treatment, places: Mapping[str, Placement], shares: Mapping[str, float]
) -> Contender:
    total = sum(shares[device] for device in places)
    return Contender(
        candidate=candidate,
        treatment=treatment,
        places=places,
        worst=max(place.regret for place in places.values()),
        mean=sum(shares[device] * place.regret for device, place in places.items()) / total,
    )


def _places(reading: Reading) -> list[Placement]:
    entries = {entry.number: entry for entry in reading.ranking.entries}
    regrets = regrets_of(reading)
    limits = reading.ranking.limits
    return [
        Placement(
            trial=trial,
            entry=entries[trial.number],
            regret=regrets[trial.number],
            miss=0.0
            if entries[trial.number].feasible
            else normalised_miss(limits, entries[trial.number].violations),
        )
        for trial in complete_trials(reading.record)
    ]


def regrets_of(reading: Reading) -> dict[int, float]:
    """By trial number, how much farther from the ideal each candidate is than the best within the limits; the
    best of all where none is within them.

    Finalists are compared by what was confirmed of them, all others by what the search measured.
    """
    entries = reading.ranking.entries
    if not entries:
        return {}
    best = reading.ranking.best or entries[0]
    searched = _search_distances(reading)
    found = {}
    for entry in entries:
        confirmed = entry.source == best.source == TEST
        mine, its = (
            (entry.distance, best.distance) if confirmed else (searched[entry.number], searched[best.number])
        )
        found[entry.number] = mine if isinf(mine) and not isinf(its) else max(0.0, mine - its)
    return {number: 0.0 if regret != regret else regret for number, regret in found.items()}


def _search_distances(reading: Reading) -> dict[int, float]:
    """The distance of each candidate to the ideal, all by what the search measured, on one scale."""
    record, ranking = reading.record, reading.ranking
    searched = {trial.number: searched_metrics(trial) for trial in complete_trials(record)}
    on_front = [searched[entry.number] for entry in ranking.entries if entry.on_front]
    scale = DistanceScale.over(record.objectives, on_front)
    return {number: scale.distance(metrics, ranking.weights) for number, metrics in searched.items()}


def _by_model(placed: Mapping[str, Sequence[Placement]], shares: Mapping[str, float]) -> Contender | None:
    """The model at one precision that loses least where each device runs it on the backend that suits it."""
    best: dict[Candidate, dict[str, Placement]] = {}
    for device, places in placed.items():
        for place in places:
            model = replace(place.trial.evaluation.candidate, backend="")
            before = best.setdefault(model, {}).get(device)
            if place.entry.feasible and (before is None or place.regret < before.regret):
                best[model][device] = place
    whole = [
        _contender(model, Treatment(), places, shares)
        for model, places in best.items()
        if len(places) == len(placed)
    ]
    return min(whole, key=_order, default=None)
