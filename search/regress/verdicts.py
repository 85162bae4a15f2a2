"""What is said around the comparisons: the study's own verdict, versions, and a recommendation that moved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..record.checks import VERDICT, VERSIONS, CheckOutcome, MetricCheck
from .baseline import Baseline
from .subjects import ENVIRONMENT, STUDY, limit_subject, same_subject, shipped_subject

_ORDER = ("met", "do_nothing", "undecided", "not_met", "nothing_usable")


@dataclass(frozen=True, kw_only=True)
class VerdictChecks:
    """Two nights whose numbers have been compared."""

    then: Baseline
    now: Baseline

    def around(self, checks: Sequence[MetricCheck]) -> tuple[MetricCheck, ...]:
        """All checks, with the verdict first and what changed beside at the end."""
        checks = self._without_choices(checks)
        return (*self._verdict(checks), *checks, *self._versions())

    def _verdict(self, checks: Sequence[MetricCheck]) -> Iterator[MetricCheck]:
        then, now = self.then.status, self.now.status
        if not then or now not in _ORDER or then not in _ORDER:
            return
        said = f"{_words(then)} then, {_words(now)} tonight"
        limits = {limit_subject(limit) for limit in self.now.limits}
        missed = [one for one in checks if one.subject in limits and one.outcome is CheckOutcome.FAILED]
        outcome = CheckOutcome.PASSED
        if self.now.shipped is None and self.then.shipped is not None:
            outcome = CheckOutcome.FAILED
        elif _rank(now) > _rank(then):
            outcome = CheckOutcome.FAILED if missed else CheckOutcome.INCONCLUSIVE
            said += "" if missed else ", by no more than noise explains"
        yield MetricCheck(subject=STUDY, metric=VERDICT, outcome=outcome, reason=said)

    def _without_choices(self, checks: Sequence[MetricCheck]) -> tuple[MetricCheck, ...]:
        """Where another candidate is recommended, and that of then is still there as it was, what the new one
        is worse in is a choice between the two and no loss."""
        before, after = self.then.shipped, self.now.shipped
        same = None if before is None else self.now.known(before.digest)
        if after is None or same is None or same.digest == after.digest:
            return tuple(checks)
        lost = {one.subject for one in checks if one.outcome is CheckOutcome.FAILED}
        if same_subject(same) in lost:
            return tuple(checks)
        why, chosen = f"another candidate is recommended; #{same.number} is as it was", shipped_subject(after)
        return tuple(
            replace(one, outcome=CheckOutcome.WARNING, reason=why)
            if one.outcome is CheckOutcome.FAILED and one.subject == chosen
            else one
            for one in checks
        )

    def _versions(self) -> Iterator[MetricCheck]:
        then, now = self.then.versions, self.now.versions
        differing = [
            f"{name} {then.get(name, 'none')} then, {now.get(name, 'none')} tonight"
            for name in sorted(then.keys() & now.keys())
            if then[name] != now[name]
        ]
        if differing:
            yield MetricCheck(
                subject=ENVIRONMENT,
                metric=VERSIONS,
                outcome=CheckOutcome.NOTED,
                reason="; ".join(differing),
            )


def _rank(status: str) -> int:
    """`do_nothing` is as good as `met`."""
    return max(1, _ORDER.index(status))


def _words(status: str) -> str:
    return status.replace("_", " ")
