"""What two devices say of the same models, in sentences: what carries over, and what does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

from ...profiles.words import joined
from ...search.ranking.known import complete_trials, searched_metrics
from ...search.ranking.losses import faster
from ...search.ranking.pareto import better, overlap
from ...search.ranking.ranking import Ranked, comparable, latency_metric
from ...search.ranking.reading import Reading
from ...search.ranking.sentences import gap_text
from ...search.ranking.verdict import DO_NOTHING, MET
from ...search.record.candidate import Candidate
from ...search.record.evaluation import Outcome, Quantity, StudyRecord, TrialRecord
from ...search.record.metrics import metric_info
from .views import why


def device_names(first: StudyRecord, other: StudyRecord) -> tuple[str, str]:
    """What the two devices are called: as their studies, where their profiles have one name; and which of
    them were not there."""
    alike = first.profile == other.profile
    one, two = (
        f"{record.name if alike else record.profile}{' (estimated)' if record.estimated else ''}"
        for record in (first, other)
    )
    return one, two


def own_trials(record: StudyRecord) -> dict[str, TrialRecord]:
    """The trial of each candidate, by digest."""
    found: dict[str, TrialRecord] = {}
    for trial in record.trials:
        if trial.duplicate_of is None:
            found[trial.evaluation.candidate.digest] = trial
    return found


def absent(record: StudyRecord, candidate: Candidate) -> tuple[str, str]:
    """Of a candidate that has no trial: whether it was not offered there, or not evaluated, and why."""
    whole = {candidate.backend: ("all", str(candidate.precision), candidate.sparsity)}
    for masked in record.masked:
        if masked.what in whole.get(masked.backend, ()):
            return "not offered", masked.reason
    return "not evaluated", "the search ended before it, or did not expect it to win"


def over_text(entry: Ranked) -> str:
    """The limits that it misses, or ""."""
    over = [text for text, miss in entry.violations.items() if miss > 0]
    return f"over: {', '.join(over)}" if over else ""


def sentences(first: Reading, other: Reading) -> list[str]:
    """What carries over from one device to the other, and what does not."""
    both = _Both(first, other)
    return [*both.winners(), *both.order(), *both.quality(), *both.endings()]


class _Both:
    """What two readings of the same models say together."""

    def __init__(self, first: Reading, other: Reading) -> None:
        self.first, self.other = first, other
        self.devices = device_names(first.record, other.record)
        self.trials = own_trials(first.record), own_trials(other.record)
        done = [{t.evaluation.candidate.digest for t in complete_trials(r.record)} for r in (first, other)]
        self.common = [digest for digest in self.trials[1] if digest in done[0] & done[1]]

    def winners(self) -> list[str]:
        """Whether one wins on both, and what each winner is worth on the other device."""
        mine, theirs = self.first.recommended, self.other.recommended
        if mine is None or theirs is None:
            sides = zip(self.devices, (self.first, self.other), strict=True)
            lacking = [device for device, reading in sides if reading.recommended is None]
            return [f"On {joined(lacking)} nothing usable was found, so that no winners can be compared."]
        one, two = (_candidate(r.record, w.number) for r, w in ((self.first, mine), (self.other, theirs)))
        if one == two:
            verb = "wins on both devices" if self._met() else "is the first on both devices"
            if self.first.record.estimated or self.other.record.estimated:
                verb = "is expected to be the first on both devices"
            places = " and ".join(
                f"#{w.number} on {device}" for device, w in zip(self.devices, (mine, theirs), strict=True)
            )
            return [f"{one.title} {verb} ({places})."]
        return [
            _worth(self.first, self.other, mine, self.trials[1].get(one.digest), self.devices),
            _worth(self.other, self.first, theirs, self.trials[0].get(two.digest), self.devices[::-1]),
        ]

    def _met(self) -> bool:
        return all(r.verdict.status in (MET, DO_NOTHING) for r in (self.first, self.other))

    def order(self) -> list[str]:
        """How often two change places in latency, beyond error on both devices."""
        metric = latency_metric(self.other.record)
        pairs = [
            (one, two)
            for one, two in combinations(self.common, 2)
            if all(metric in self._metrics(side, digest) for side in (0, 1) for digest in (one, two))
        ]
        if not pairs:
            return []
        turned = [pair for pair in pairs if self._turned(metric, *pair)]
        name = metric_info(metric).title.lower()
        if not turned and (self.first.record.estimated or self.other.record.estimated):
            return [f"Of {len(pairs)} pairs, none is known to change places by {name}."]
        if not turned:
            return [
                f"The order by {name} carries over: of {len(pairs)} pairs, none changes places beyond error."
            ]
        largest = max(turned, key=lambda pair: self._swing(metric, *pair))
        faster, slower = largest if self._faster(0, metric, *largest) else largest[::-1]
        return [
            f"The order by {name} changes: of {len(pairs)} pairs, {len(turned)} change places beyond error "
            f"on both, the most {self._title(faster)}, faster than {self._title(slower)} on "
            f"{self.devices[0]} and slower on {self.devices[1]}."
        ]

    def quality(self) -> list[str]:
        """Whether the quality of the same weights at the same precision is the same on both. Where one of
        them was not there, this machine has scored for it."""
        if self.first.record.estimated or self.other.record.estimated:
            return []
        name = self.other.record.quality
        alike, differ = 0, list[str]()
        for digest in self.common:
            treated = {side[digest].evaluation.treatment for side in self.trials}
            one, two = (self._metrics(side, digest).get(name) for side in (0, 1))
            if one is None or two is None or len(treated) > 1:
                continue
            if overlap(one, two):
                alike += 1
            else:
                differ.append(f"{self._title(digest)}, {gap_text(name, two, one)}")
        title, device = metric_info(name).title, self.devices[1]
        carried = f"{title} carries over: it is the same within error for {configurations(alike)}."
        which = f"{configurations(len(differ))}: {'; '.join(differ[:3])}"
        lost = f"{title} does not carry over to {device} for {which}."
        return [*([carried] if alike else []), *([lost] if differ else [])]

    def endings(self) -> list[str]:
        """What was complete on the first device and came to another end on this one."""
        ends: dict[Outcome, list[TrialRecord]] = {}
        for digest, trial in self.trials[1].items():
            before = self.trials[0].get(digest)
            if (
                before is not None
                and before.evaluation.outcome is Outcome.COMPLETE != trial.evaluation.outcome
            ):
                ends.setdefault(trial.evaluation.outcome, []).append(trial)
        return [self._ended(outcome, trials) for outcome, trials in ends.items()]

    def _ended(self, outcome: Outcome, trials: Sequence[TrialRecord]) -> str:
        one, other = self.devices
        say = "" if len(trials) == 1 else f"{len(trials)}, say "
        return (
            f"Complete on {one} and {outcome.value} on {other}: {say}#{trials[0].number} "
            f"({_text(trials[0])}): {why(trials[0])}."
        )

    def _metrics(self, side: int, digest: str) -> Mapping[str, Quantity]:
        """Of one split on both: what the searches measured."""
        return searched_metrics(self.trials[side][digest])

    def _faster(self, side: int, metric: str, one: str, two: str) -> bool:
        return better(self._metrics(side, one)[metric], self._metrics(side, two)[metric], False)

    def _turned(self, metric: str, one: str, two: str) -> bool:
        return (self._faster(0, metric, one, two) and self._faster(1, metric, two, one)) or (
            self._faster(0, metric, two, one) and self._faster(1, metric, one, two)
        )

    def _swing(self, metric: str, one: str, two: str) -> float:
        ratios = [self._metrics(s, one)[metric].value / self._metrics(s, two)[metric].value for s in (0, 1)]
        return max(ratios) / min(ratios)

    def _title(self, digest: str) -> str:
        return self.trials[1][digest].evaluation.candidate.title


def configurations(count: int) -> str:
    """ "1 configuration", "3 configurations"."""
    return f"{count} configuration{'' if count == 1 else 's'}"


def _text(trial: TrialRecord) -> str:
    return trial.evaluation.candidate.title


def _candidate(record: StudyRecord, number: int) -> Candidate:
    return next(t.evaluation.candidate for t in record.trials if t.number == number)


def _worth(
    home: Reading, away: Reading, winner: Ranked, there: TrialRecord | None, devices: Sequence[str]
) -> str:
    """What the winner of one device is on the other."""
    title, device = f"What wins on {devices[0]}, {_candidate(home.record, winner.number).title},", devices[1]
    if there is None:
        outcome, reason = absent(away.record, _candidate(home.record, winner.number))
        return f"{title} was {outcome} on {device}: {reason}."
    entry = away.ranking.of(there.number)
    if entry is None:
        return f"{title} is {there.evaluation.outcome.value} on {device}: {why(there)}."
    best = away.recommended
    assert best is not None
    parts = [*_slower(away.record, entry, best), *_quality(away.record, entry, best)]
    missed = over_text(entry)
    parts += [f"is {missed}"] if missed else []
    if not parts:
        return f"{title} is as good as the winner on {device}, within error."
    return f"{title} {joined(parts)} on {device}, against its own winner #{best.number}."


def _slower(record: StudyRecord, entry: Ranked, best: Ranked) -> list[str]:
    ratio = faster(record, entry, best)
    if ratio is None or (ratio.low is not None and ratio.high is not None and ratio.low <= 1 <= ratio.high):
        return []
    share = 100 * (1 / ratio.value - 1)
    return [f"takes {abs(share):.2g} % {'longer' if share > 0 else 'less'}"]


def _quality(record: StudyRecord, entry: Ranked, best: Ranked) -> list[str]:
    mine, theirs = (metrics.get(record.quality) for metrics in comparable(record, entry, best))
    if mine is None or theirs is None or overlap(mine, theirs):
        return []
    return [f"has {metric_info(record.quality).title.lower()} {gap_text(record.quality, mine, theirs)}"]
