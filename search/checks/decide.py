"""From evidence to outcomes: all questions of one verdict together."""

from __future__ import annotations

from collections.abc import Sequence

from ..record.checks import CheckOutcome, MetricCheck
from .evidence import Evidence
from .quantiles import quantile

FALSE_ALARM = 0.01
"""In at most so many verdicts anything fails that is no worse than tolerated, however many checks it has."""
FOUND, COUNTS = 0.95, 2.0
"""A loss of so many times the tolerance is to be found with this chance; a check that could not is open."""


def decided(evidence: Sequence[Evidence], false_alarm: float = FALSE_ALARM) -> tuple[MetricCheck, ...]:
    """The checks with their outcomes, in the same order.

    p-values are corrected by Holm's method (1979, Scandinavian Journal of Statistics 6:65-70) for all those
    in which chance has a part. A check fails where the corrected p-value of "no worse than tolerated" is
    below `false_alarm`. One that has not failed is inconclusive where it would have missed a loss of twice
    the tolerance in more than 5 of 100 cases, and cannot rule such a loss out either.
    """
    random = [one for one in evidence if one.random]
    corrected = iter(holm([one.p for one in random]))
    return tuple(
        _decided(one, next(corrected) if one.random else one.p, len(random), false_alarm) for one in evidence
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Each p-value corrected for all of them: the chance that any true hypothesis gets one below a level is
    no more than that level."""
    order = sorted(range(len(p_values)), key=lambda place: p_values[place])
    found, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        found[place] = largest
    return found


def _decided(one: Evidence, p: float, count: int, false_alarm: float) -> MetricCheck:
    detectable = _detectable(one, count, false_alarm) if one.random else None
    outcome = _outcome(one, p, detectable, false_alarm)
    doubted = bool(one.doubt) and outcome is CheckOutcome.FAILED
    return MetricCheck(
        subject=one.question.subject,
        metric=one.question.metric,
        outcome=CheckOutcome.INCONCLUSIVE if doubted else outcome,
        expected=one.expected,
        found=one.found,
        change=one.change,
        scale=one.scale,
        tolerated=None if one.skipped else one.told(one.margin),
        detectable=None if detectable is None else one.told(detectable),
        p_value=p if one.random else None,
        reason=one.open_because or (one.doubt if doubted else one.reason),
    )


def _outcome(one: Evidence, p: float, detectable: float | None, false_alarm: float) -> CheckOutcome:
    if one.skipped:
        return CheckOutcome.SKIPPED
    if one.open_because:
        return CheckOutcome.INCONCLUSIVE
    if one.unchanged:
        return CheckOutcome.PASSED
    if p < false_alarm:
        return CheckOutcome.FAILED
    if one.noted:
        return CheckOutcome.NOTED
    counts = COUNTS * one.margin
    unseen = detectable is not None and detectable > counts and _at_most(one) > counts
    return CheckOutcome.INCONCLUSIVE if unseen else CheckOutcome.PASSED


def _at_most(one: Evidence) -> float:
    return one.loss + quantile(FOUND, one.degrees) * one.error


def _detectable(one: Evidence, count: int, false_alarm: float) -> float:
    """The least loss that is found in 95 of 100 cases, were it the only one."""
    alarm = one.margin + quantile(1 - false_alarm / count, one.degrees) * one.error_at(one.margin)
    reach, least = quantile(FOUND, one.degrees), alarm
    for _ in range(10):  # the error at a loss is hardly larger than that at one nearby
        least = alarm + reach * one.error_at(least)
    return least
