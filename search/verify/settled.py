"""What was found, decided all together, with what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...profiles.quantity import Quantity
from ..checks.decide import decided
from ..checks.evidence import Evidence
from ..record.checks import VERSIONS, Advice, CheckOutcome, MetricCheck, NextStep
from .machine import install_line
from .shipped import Shipped

CheckOrEvidence = MetricCheck | Evidence
"""A check that chance has no part in, or what is decided with all others."""


def settled(found: Sequence[CheckOrEvidence]) -> tuple[MetricCheck, ...]:
    """All of them as checks, in their order."""
    checks = iter(decided([one for one in found if isinstance(one, Evidence)]))
    return tuple(next(checks) if isinstance(one, Evidence) else one for one in found)


def noted(evidence: Evidence, why: str) -> MetricCheck:
    """What was found, for information: it must not decide."""
    if evidence.skipped:
        return decided([evidence])[0]
    check = decided([evidence.open(why)])[0]
    return replace(check, outcome=CheckOutcome.NOTED, tolerated=None)


def figure(subject: str, metric: str, expected: Quantity | None, found: Quantity, why: str) -> MetricCheck:
    """A figure for information, beside what was recorded of it."""
    return MetricCheck(
        subject=subject,
        metric=metric,
        outcome=CheckOutcome.NOTED,
        expected=expected,
        found=found,
        reason=why,
    )


def broken(subject: str, metric: str, cause: str) -> MetricCheck:
    """It could be asked, and what was checked failed under it."""
    return MetricCheck(subject=subject, metric=metric, outcome=CheckOutcome.FAILED, reason=cause)


def left_out(subject: str, metrics: Sequence[str], why: str) -> list[MetricCheck]:
    """What could not be asked."""
    return [
        MetricCheck(subject=subject, metric=metric, outcome=CheckOutcome.SKIPPED, reason=why)
        for metric in metrics
    ]


def advice_on(one: Shipped, checks: Sequence[MetricCheck]) -> tuple[Advice, ...]:
    """What to do where something failed."""
    failed = [check for check in checks if check.outcome is CheckOutcome.FAILED]
    if not failed:
        return ()
    moved = [c for c in checks if c.metric == VERSIONS and c.outcome is CheckOutcome.WARNING]
    if moved:
        why = f"{moved[0].reason}; `{install_line(one)}` brings back the version that it was checked with"
        return (Advice(subject=one.name, step=NextStep.PIN, reason=why),)
    why = "its runtime is of the version that it was made with, so that another version is not the cause"
    return (Advice(subject=one.name, step=NextStep.LOOK, reason=why),)
