"""What was checked, as rows of a table with a verdict in words for each, and one for all of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...profiles.quantity import Quantity
from ...profiles.words import counted, joined
from ...search.ranking.sentences import with_interval
from ...search.record.checks import (
    CHECKS,
    DECISIONS,
    FILES,
    OUTPUTS,
    RANGE,
    WORST_CLASS,
    Checked,
    CheckOutcome,
    MetricCheck,
    NextStep,
    Scale,
)
from ...search.record.metrics import MetricInfo, metric_info
from .views import DASH

CHECK_COLUMNS = ("subject", "what", "expected", "found", "change", "tolerated", "verdict")
"""Titles of the cells of a `CheckRow`, in their order."""
_UNITS: Mapping[str, str] = {
    OUTPUTS: "sd",
    DECISIONS: "share",
    RANGE: "share",
    WORST_CLASS: "share",
    FILES: "count",
}
_STEPS: Mapping[NextStep, str] = {
    NextStep.KEEP: "keep",
    NextStep.RECOMPILE: "recompile",
    NextStep.PIN: "pin",
    NextStep.LOOK: "look at",
}
_TWICE, _LEAST_ODDS = 2.0, 1e-6


@dataclass(frozen=True, kw_only=True)
class CheckRow:
    """One check in words; `verdict` is a sentence, `outcome` its one word. `remarkable`: the sentence says
    more than that."""

    subject: str
    what: str
    expected: str
    found: str
    change: str
    tolerated: str
    verdict: str
    outcome: CheckOutcome
    remarkable: bool = False

    @property
    def cells(self) -> tuple[str, ...]:
        """As `CHECK_COLUMNS` names them."""
        return (
            self.subject,
            self.what,
            self.expected,
            self.found,
            self.change,
            self.tolerated,
            self.verdict,
        )


def check_rows(checked: Checked) -> tuple[CheckRow, ...]:
    """A row for each check, in their order."""
    return tuple(map(_row, checked.checks))


def checked_info(metric: str) -> MetricInfo:
    """Title and unit of what was checked: a metric, or one of `CHECKS`."""
    if metric in CHECKS:
        return MetricInfo(name=metric, title=CHECKS[metric], unit=_UNITS.get(metric, ""))
    return metric_info(metric)


def _row(check: MetricCheck) -> CheckRow:
    info = checked_info(check.metric)
    return CheckRow(
        subject=check.subject,
        what=info.title,
        expected=_number(info, check.expected),
        found=_number(info, check.found),
        change=_change(check, info),
        tolerated=DASH if check.tolerated is None else _moved(check.scale, info, check.tolerated),
        verdict=verdict_of(check),
        outcome=check.outcome,
        remarkable=bool(check.reason),
    )


def _number(info: MetricInfo, quantity: Quantity | None) -> str:
    return DASH if quantity is None else with_interval(info, quantity)


def _change(check: MetricCheck, info: MetricInfo) -> str:
    if check.change is None:
        return DASH
    said = _moved(check.scale, info, check.change.value)
    if check.change.low is None or check.change.high is None:
        return said
    low, high = (_moved(check.scale, info, end) for end in (check.change.low, check.change.high))
    unit = said.rpartition(" ")[2]
    if " " in said and all(text.endswith(f" {unit}") for text in (low, high)):
        low = low.removesuffix(f" {unit}")
    return f"{said} ({low} to {high})"


def _moved(scale: Scale, info: MetricInfo, amount: float) -> str:
    """A change, or one that is tolerated, with its sign."""
    if scale is Scale.RATIO:
        percent = 100 * (amount - 1)
        return f"{amount:.2f} times" if amount > _TWICE else f"{_signed(percent)}{_figure(percent)} %"
    if scale is Scale.COUNT:
        return f"{amount:g}"
    return f"{_signed(amount)}{info.difference(abs(amount))}"


def _signed(amount: float) -> str:
    return "-" if amount < 0 else "+"


def _figure(percent: float) -> str:
    return f"{abs(percent):.3g}" if abs(percent) >= 1 else f"{abs(percent):.2f}"


def verdict_of(check: MetricCheck) -> str:
    """How a check ended, in one sentence."""
    return _SENTENCES[check.outcome](check)


def _passed(check: MetricCheck) -> str:
    said = check.reason or ("as recorded" if check.expected is not None else "as it should be")
    return f"{said}{_seen(check, ' (would have seen')}"


def _failed(check: MetricCheck) -> str:
    if check.scale is Scale.COUNT or check.change is None:
        return _with_reason("failed", check.reason)
    return _with_reason(f"out of its band{_odds(check.p_value)}", check.reason)


def _odds(p: float | None) -> str:
    if p is None:
        return ""
    return f" (p = {p:.2g})" if p >= _LEAST_ODDS else f" (p < {_LEAST_ODDS:g})"


def _warned(check: MetricCheck) -> str:
    moved = "moved beyond noise, by less than what counts" if check.change is not None else "not as it was"
    return _with_reason(moved, check.reason)


def _inconclusive(check: MetricCheck) -> str:
    return _with_reason(f"cannot tell{_seen(check, ' (would have seen only')}", check.reason)


def _skipped(check: MetricCheck) -> str:
    return _with_reason("not checked", check.reason)


_SENTENCES: Mapping[CheckOutcome, Callable[[MetricCheck], str]] = {
    CheckOutcome.PASSED: _passed,
    CheckOutcome.FAILED: _failed,
    CheckOutcome.WARNING: _warned,
    CheckOutcome.INCONCLUSIVE: _inconclusive,
    CheckOutcome.NOTED: lambda check: _with_reason("for information", check.reason),
    CheckOutcome.SKIPPED: _skipped,
}


def _with_reason(said: str, reason: str) -> str:
    return f"{said}: {reason}" if reason else said


def _seen(check: MetricCheck, words: str) -> str:
    """The smallest change that it would have found, where that is known."""
    if check.detectable is None:
        return ""
    return f"{words} {_moved(check.scale, checked_info(check.metric), check.detectable)})"


def conclusion(checked: Checked) -> str:
    """All of it in one line: what failed is named."""
    failed = checked.having(CheckOutcome.FAILED)
    said = f"{checked.of} against {checked.against}: "
    good, bad = ("CALM", "ALARM") if checked.in_use else ("PASSED", "FAILED")
    if failed:
        return f"{bad}: {said}{_named(failed)}{_rest(checked)}"
    warned, passed = checked.having(CheckOutcome.WARNING), len(checked.having(CheckOutcome.PASSED))
    if not passed and not warned:
        return f"NOTHING CHECKED: {said}no check could tell{_rest(checked)}"
    if warned:
        return f"WARNING: {said}{_named(warned)} moved; {counted(passed, 'check')} passed{_rest(checked)}"
    return f"{good}: {said}{counted(passed, 'check')} passed{_rest(checked)}"


def _named(checks: Sequence[MetricCheck]) -> str:
    titles = (f"{checked_info(one.metric).title.lower()} of {one.subject}" for one in checks)
    return joined(tuple(dict.fromkeys(titles)))


def _rest(checked: Checked) -> str:
    unclear = len(checked.having(CheckOutcome.INCONCLUSIVE))
    skipped = len(checked.having(CheckOutcome.SKIPPED))
    said = [f"{unclear} could not tell"] if unclear else []
    said += [f"{skipped} not possible here"] if skipped else []
    return f"; {joined(said)}" if said else ""


def advice_lines(checked: Checked) -> tuple[str, ...]:
    """What to do, one line each."""
    return tuple(f"{_STEPS[one.step]} {one.subject}: {one.reason}" for one in checked.advice)
