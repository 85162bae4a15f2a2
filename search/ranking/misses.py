"""When nothing meets every limit: the nearest candidates, and what relaxing limits would admit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from math import floor, log10

from ..record.evaluation import Limit, Outcome, Quantity, StudyRecord
from ..record.metrics import metric_info
from ..record.training import went_on
from .known import VALIDATION, bound_for, complete_trials, known_metrics, limits_on, violations
from .ranking import normalised_miss


@dataclass(frozen=True, kw_only=True)
class Miss:
    """A candidate that does not meet every limit.

    `violations` maps the text of each missed limit to how far it is missed, in the metric's unit.
    `unknown` holds the limits whose metric was never measured (a gated candidate has no quality).
    `score` is the sum of the misses, each divided by its limit's scale.
    """

    number: int
    violations: Mapping[str, float]
    unknown: tuple[str, ...]
    score: float


@dataclass(frozen=True, kw_only=True)
class Change:
    """One limit moved just far enough: by `amount` (in the metric's unit) to `bound`."""

    limit: Limit
    amount: float
    bound: float


@dataclass(frozen=True, kw_only=True)
class Relaxation:
    """Limits to move together, and the candidate that this admits.

    `certain` is false where the candidate was never trained, so that its quality is not known.
    """

    changes: tuple[Change, ...]
    number: int
    certain: bool


@dataclass(frozen=True, kw_only=True)
class NearestMisses:
    """The nearest candidates, best first; `alone` has one relaxation for each limit that suffices alone;
    `joint` is the smallest joint one, given only where no single relaxation surely suffices.
    """

    candidates: tuple[Miss, ...]
    alone: tuple[Relaxation, ...]
    joint: Relaxation | None


@dataclass(frozen=True)
class _Numbers:
    number: int
    metrics: Mapping[str, Quantity]
    source: str


def nearest_misses(
    record: StudyRecord, where: Sequence[Limit] | None = None, count: int = 5
) -> NearestMisses:
    """The `count` nearest candidates, and what relaxing the limits would admit.

    Complete candidates come first: a gated one may still turn out too inaccurate.
    """
    limits = tuple(record.limits if where is None else where)
    sources = {known.number: known for known in _measured(record)}
    misses = sorted((_miss(limits, k) for k in sources.values()), key=lambda m: (bool(m.unknown), m.score))
    alone = [r for limit in limits if (r := _alone(limit, limits, misses, sources)) is not None]
    whole = [miss for miss in misses if not miss.unknown and miss.violations]
    joint = None
    if whole and not any(relaxation.certain for relaxation in alone):
        joint = _relaxation(whole[0], limits, sources)
    return NearestMisses(candidates=tuple(misses[:count]), alone=tuple(alone), joint=joint)


def _measured(record: StudyRecord) -> Iterable[_Numbers]:
    complete, later = {trial.number for trial in complete_trials(record)}, went_on(record)
    for trial in record.trials:
        if trial.number in complete:
            yield _Numbers(trial.number, *known_metrics(record, trial.number))
        elif trial.ended(Outcome.GATED) and trial.evaluation.gate and trial.number not in later:
            yield _Numbers(trial.number, trial.evaluation.gate, VALIDATION)


def _miss(limits: Sequence[Limit], known: _Numbers) -> Miss:
    measured = limits_on(known.metrics, limits)
    missed = violations(measured, known.metrics, known.source)
    return Miss(
        number=known.number,
        violations={text: v for text, v in missed.items() if v > 0},
        unknown=tuple(limit.text for limit in limits if limit.metric not in known.metrics),
        score=normalised_miss(measured, missed),
    )


def _alone(
    limit: Limit, limits: Sequence[Limit], misses: Sequence[Miss], sources: Mapping[int, _Numbers]
) -> Relaxation | None:
    """The smallest relaxation of this limit that admits a candidate; a surely admitted one is preferred."""
    only = [
        miss for miss in misses if set(miss.violations) == {limit.text} and limit.text not in miss.unknown
    ]
    if not only:
        return None
    best = min(only, key=lambda miss: (bool(miss.unknown), miss.violations[limit.text]))
    return _relaxation(best, limits, sources)


def _relaxation(miss: Miss, limits: Sequence[Limit], sources: Mapping[int, _Numbers]) -> Relaxation:
    source = sources[miss.number].source
    changes = tuple(
        _change(bound_for(limit, source), miss.violations[limit.text])
        for limit in limits
        if limit.text in miss.violations
    )
    return Relaxation(changes=changes, number=miss.number, certain=not miss.unknown)


def _change(limit: Limit, amount: float) -> Change:
    bound = _rounded_out(limit, limit.bound + (amount if limit.upper else -amount))
    return Change(limit=limit, amount=abs(bound - limit.bound), bound=bound)


def _rounded_out(limit: Limit, bound: float) -> float:
    """The bound with three digits (a share with two decimals of a percent), rounded to the generous side.

    The number that is printed must itself admit the candidate.
    """
    share = metric_info(limit.metric).unit == "share"
    digits = 4 if share else 2 - floor(log10(abs(bound))) if bound else 0
    step = Decimal(1).scaleb(-digits)
    mode = ROUND_CEILING if limit.upper else ROUND_FLOOR
    return float(Decimal(repr(bound)).quantize(step, rounding=mode))
