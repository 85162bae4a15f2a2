"""One thing that was looked at in a log, before it is known how many others there are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from ...profiles.quantity import Quantity
from ..checks.decide import FALSE_ALARM, holm
from ..record.checks import INPUTS, PREDICTIONS, RANGE, CheckOutcome, MetricCheck, Scale


class Alarm(IntEnum):
    """How much there is to say."""

    UNKNOWN = 0
    CALM = 1
    WARNING = 2
    ALARM = 3


@dataclass(frozen=True, kw_only=True)
class Noticed:
    """What was seen of `subject`. `p` is the p-value of "no worse than tolerated", `p_moved` that of "not
    moved at all"; `effect` how much it moved, in units of what is tolerated: an alarm takes both a small p
    and an effect of more than 1, a warning half of that. `detail` says what moved. Of all findings of one
    `row` (the subject, where there is none) and metric the worst is told. `open_because`: it must not alarm.
    """

    subject: str
    metric: str
    p: float = 1.0
    p_moved: float = 1.0
    effect: float = 0.0
    expected: Quantity | None = None
    found: Quantity | None = None
    change: Quantity | None = None
    scale: Scale = Scale.DIFFERENCE
    tolerated: float | None = None
    detail: str = ""
    too_few: bool = False
    skipped: bool = False
    open_because: str = ""
    row: str = ""


LATENCY, QUALITY = "latency", "quality"
_FAMILIES = (INPUTS, PREDICTIONS, RANGE, LATENCY, QUALITY)
LEVEL = FALSE_ALARM / 2
"""Half of what is promised: tails of few samples are approximate."""
_OUTCOMES = {
    Alarm.UNKNOWN: CheckOutcome.INCONCLUSIVE,
    Alarm.CALM: CheckOutcome.PASSED,
    Alarm.WARNING: CheckOutcome.WARNING,
    Alarm.ALARM: CheckOutcome.FAILED,
}


def settled(findings: Sequence[Noticed]) -> tuple[tuple[Noticed, MetricCheck], ...]:
    """The worst finding of each row with its check. p-values are corrected for all findings of the look: each
    family has an equal part of the false alarms, so that latency is seen as soon with a hundred inputs as
    with one, and within a family Holm's method holds."""
    asked = [one for one in findings if not one.skipped and not one.too_few]
    corrected, moved = _corrected(asked, [x.p for x in asked]), _corrected(asked, [x.p_moved for x in asked])
    rows: dict[tuple[str, str], list[tuple[Alarm, float, Noticed]]] = {}
    for one in findings:
        alarm = _alarm(one, corrected.get(id(one), 1.0), moved.get(id(one), 1.0))
        rows.setdefault((one.row or one.subject, one.metric), []).append((alarm, one.effect, one))
    worst = [max(row, key=lambda told: told[:2]) for row in rows.values()]
    return tuple((one, _check(one, alarm, corrected.get(id(one)))) for alarm, _, one in worst)


def _corrected(asked: Sequence[Noticed], p_values: Sequence[float]) -> dict[int, float]:
    families: dict[str, dict[int, float]] = {}
    for one, p in zip(asked, p_values, strict=True):
        families.setdefault(_family(one), {})[id(one)] = p
    return {
        name: min(1.0, p * len(_FAMILIES))
        for family in families.values()
        for name, p in zip(family, holm([*family.values()]), strict=True)
    }


def _family(one: Noticed) -> str:
    if one.metric in _FAMILIES:
        return one.metric
    return LATENCY if one.metric.startswith(LATENCY) else QUALITY


def _alarm(one: Noticed, p: float, moved: float) -> Alarm:
    if one.too_few:
        return Alarm.UNKNOWN
    if p < LEVEL and one.effect > 1 and not one.open_because:
        return Alarm.ALARM
    if moved < LEVEL and one.effect > 0.5:
        return Alarm.WARNING
    return Alarm.CALM


def _check(one: Noticed, alarm: Alarm, p: float | None) -> MetricCheck:
    outcome = CheckOutcome.SKIPPED if one.skipped else _OUTCOMES[alarm]
    told = one.detail if alarm is not Alarm.CALM or one.skipped else ""
    return MetricCheck(
        subject=one.subject,
        metric=one.metric,
        outcome=outcome,
        expected=one.expected,
        found=one.found,
        change=one.change,
        scale=one.scale,
        tolerated=one.tolerated,
        p_value=p,
        reason="; ".join(filter(None, (told, one.open_because))),
    )
