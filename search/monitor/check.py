"""`paretune monitor check`: what a deployed bundle recorded, against what it was exported with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from ..bundles.bundle import Bundle, read_bundle
from ..checks.tolerances import Tolerances, read_tolerances
from ..record.checks import (
    INPUTS,
    PREDICTIONS,
    RANGE,
    WORST_CLASS,
    Advice,
    Checked,
    CheckOutcome,
    MetricCheck,
    NextStep,
)
from .finding import Noticed, settled
from .looked_at import FEWEST_SAMPLES, of_latency, of_misfits, of_quality, of_series, passes, shift_at
from .said import PlanSaid, ProcessLog, latest, read_logs, read_plan, total
from .series import Bins
from .tally import Tally

LATEST = 2000
"""Samples that are looked at: the last windows that have as many. What came before is calm or was told."""


def monitor_check(
    bundle: Path, logs: Sequence[Path], *, tolerate: Sequence[str] = (), whole: bool = False
) -> Checked:
    """Compare what was recorded of a deployed bundle with its manifest: latency, shift of inputs and of
    predictions, what is out of range, and where labels came quality and its worst class. `logs` are files of
    `Monitor` (those of other processes lie beside them and are found), or folders with such. Looked at are
    the latest samples, with `whole` all of them.

    Raises:
        UserError: no bundle or no log lies there, they do not belong together, one is damaged, or a tolerance
            cannot be read.
    """
    shipped, plan = read_bundle(bundle), read_plan(bundle)
    tolerances = read_tolerances(tolerate, shipped.quality)
    recorded = read_logs(logs, plan)
    windows = sorted((one for log in recorded for one in log.windows), key=lambda one: one.ended)
    if not windows:
        windows = [Tally(plan.size, len(plan.series))]
    seen = windows if whole else latest(windows, LATEST)
    tally = total(seen)
    findings = noticed(shipped, plan, tally, tolerances, _elsewhere(shipped, recorded))
    found = settled(findings)
    checks = tuple(_with_time(one, check, plan, windows, tolerances) for one, check in found)
    return Checked(
        of=f"{_samples(tally)} in the field",
        against=str(bundle),
        checks=checks,
        advice=tuple(_advice(one) for one in checks if one.outcome is CheckOutcome.FAILED),
        environment={**_where(recorded, seen), **_not_recorded(tally)},
        in_use=True,
    )


def noticed(
    bundle: Bundle, plan: PlanSaid, tally: Tally, tolerances: Tolerances, elsewhere: str = ""
) -> list[Noticed]:
    """All that is looked at, before it is settled what counts. `elsewhere`: why latency must not alarm."""
    return [
        *of_series(plan, tally, tolerances),
        *of_misfits(plan, tally, tolerances),
        *of_latency(bundle, tally, tolerances, elsewhere),
        *of_quality(bundle, plan, tally, tolerances),
    ]


def _samples(tally: Tally) -> str:
    seen, whole = tally.numbers["looked at"], tally.numbers["samples"]
    return f"{seen} samples" if seen >= whole else f"{seen} of {whole} samples"


def _elsewhere(bundle: Bundle, recorded: Sequence[ProcessLog]) -> str:
    """Where it was recorded on another device than the manifest's."""
    then = bundle.environment
    for log in recorded:
        for name, title in (("processor", "processor"), ("machine", "machine"), ("cores", "number of cores")):
            here, there = str(log.about.get(name, "")), str(then.get(name, ""))
            if here and there and here != there:
                return f"recorded on another device than the manifest's: its {title} is {here}, not {there}"
    return ""


def _where(recorded: Sequence[ProcessLog], seen: Sequence[Tally]) -> dict[str, str]:
    nodes = sorted({str(one.about.get("node", "")) for one in recorded} - {""})
    return {
        "devices": ", ".join(nodes),
        "processes": str(len(recorded)),
        "from": when(min(one.began for one in seen)),
        "to": when(max(one.ended for one in seen)),
    }


def _not_recorded(tally: Tally) -> dict[str, str]:
    """What the log says that it lacks."""
    names = {"lost": "calls not recorded (too many at once)", "without outputs": "calls that gave nothing"}
    return {title: str(tally.numbers[name]) for name, title in names.items() if tally.numbers[name] > 0}


def when(seconds: float) -> str:
    """A moment by the clock, in UTC."""
    try:
        return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M} UTC"
    except (ValueError, OverflowError, OSError):
        return "an unknown time"


def _with_time(
    one: Noticed, check: MetricCheck, plan: PlanSaid, windows: Sequence[Tally], tolerances: Tolerances
) -> MetricCheck:
    """Since when it has moved, where that is known."""
    if (
        check.outcome is not CheckOutcome.FAILED
        or one.metric not in (INPUTS, PREDICTIONS)
        or one.found is None
    ):
        return check
    side, most = "inputs" if one.metric == INPUTS else "outputs", passes(tolerances, one.metric).amount
    names = [(series.side, series.name) for series in plan.series]
    at, since = names.index((side, one.found.how)), ""
    part = Bins([vars(series) for series in plan.series]).slices[at]
    for window in reversed(windows):
        shift = shift_at(plan, window, at, part)
        if shift.count >= FEWEST_SAMPLES and shift.index <= most:
            break
        since = when(window.began) if shift.count >= FEWEST_SAMPLES else since
    return check if not since else MetricCheck(**{**vars(check), "reason": f"{check.reason}, since {since}"})


_ASKED = {
    INPUTS: "what it is asked has changed: look at the source of these inputs and at their preprocessing",
    PREDICTIONS: "what it answers has changed: look at its inputs, and collect some hundred labels",
    RANGE: "what comes before the model gives other arrays than it was made with (units, types, NaN)",
    WORST_CLASS: "collect samples of this class, and train with them",
}


def _advice(check: MetricCheck) -> Advice:
    reason = _ASKED.get(check.metric)
    if reason is None:
        timed = check.metric.startswith("latency")
        reason = (
            "what else runs on the device, is it hot, has its runtime changed? `paretune verify` measures it"
            if timed
            else "the world has moved, or the pipeline has: compare inputs, then train again"
        )
    return Advice(subject=check.subject, step=NextStep.LOOK, reason=reason)
