"""What to do with an artifact after it was checked in another environment, and why."""

from __future__ import annotations

from collections.abc import Sequence

from ..record.checks import DECISIONS, OUTPUTS, Advice, CheckOutcome, MetricCheck, NextStep
from .findings import Findings
from .levels import off
from .runtimes import RuntimePlace
from .side_by_side import LATENCY, LOAD, MEMORY

_COSTS = {LATENCY: "slower", MEMORY: "takes more memory", LOAD: "loads more slowly"}


def failed_of(checks: Sequence[MetricCheck], subject: str) -> tuple[MetricCheck, ...]:
    """The checks of a subject that failed."""
    return tuple(one for one in checks if one.subject == subject and one.outcome is CheckOutcome.FAILED)


def advised(
    findings: Findings,
    checks: Sequence[MetricCheck],
    before: RuntimePlace,
    after: RuntimePlace,
    *,
    made: str = "",
    tried: str = "",
) -> Advice:
    """What to do. `made` is the file of the recompiled artifact where that does well, `tried` says what
    became of the try otherwise."""
    subject, backend = findings.artifact.title, findings.artifact.backend
    failed = failed_of(checks, findings.subject)
    now = after.runtime(backend)

    def advice(step: NextStep, reason: str) -> Advice:
        return Advice(subject=subject, step=step, reason=reason)

    if findings.unknown:
        return advice(NextStep.LOOK, f"nothing could be compared: {findings.unknown}")
    lost = next((one.reason for one in findings.noted if one.outcome is CheckOutcome.WARNING), "")
    if lost and not failed:
        return advice(NextStep.LOOK, f"on {after.title} {lost}")
    if not failed:
        return advice(NextStep.KEEP, f"with {now} it {_kept(checks, findings)}")
    why = _why(findings, failed, now)
    numbers_alone = all(one.metric not in _COSTS for one in failed)
    if findings.blame.before and numbers_alone:
        return advice(NextStep.LOOK, f"{why}: {findings.blame.words}. Scores of before are of wrong outputs")
    if made:
        return advice(
            NextStep.RECOMPILE, f"{why}. Compiled anew there it does as before, as was tried: {made}"
        )
    besides = "; ".join(filter(None, (findings.blame.words, tried)))
    besides = f". {besides[0].upper()}{besides[1:]}" if besides else ""
    lines = requirements(before, backend)
    if not lines or before.versions(backend) == after.versions(backend):
        return advice(NextStep.LOOK, f"{why}, and no other version is known to help{besides}")
    return advice(NextStep.PIN, f"{why}: require {lines}{besides}")


def requirements(place: RuntimePlace, backend: str) -> str:
    """ "onnxruntime==1.31.1", as a requirements file has it."""
    return " ".join(f"{name}=={version}" for name, version in place.versions(backend).items())


def _why(findings: Findings, failed: Sequence[MetricCheck], now: str) -> str:
    if findings.broken:
        return f"with {now} it does not run"
    numbers = [one for one in failed if one.metric not in _COSTS]
    said = []
    if numbers:
        by_metric = {one.metric: one.reason for one in numbers if one.reason}
        told = next((by_metric[metric] for metric in (DECISIONS, OUTPUTS) if metric in by_metric), "")
        said.append(f"gives other results{f' ({told})' if told else ''}")
    said += [
        f"{'is ' if one.metric == LATENCY else ''}{_COSTS[one.metric]}{_times(one)}"
        for one in failed
        if one.metric in _COSTS
    ]
    return f"with {now} it {' and '.join(said)}"


def _times(check: MetricCheck) -> str:
    if check.change is None:
        return ""
    low, high = check.change.ends
    between = f", {low:.3g} to {high:.3g}" if high > low else ""
    return f" ({check.change.value:.3g} times{between})"


def _kept(checks: Sequence[MetricCheck], findings: Findings) -> str:
    own = {one.metric: one for one in checks if one.subject == findings.subject}
    latency = own.get(LATENCY)
    said = [
        "gives identical outputs" if _identical(findings) else "gives the same results within what may differ"
    ]
    if latency is not None and latency.change is not None:
        said.append(f"takes {latency.change.value:.3g} times as long")
        if latency.outcome is CheckOutcome.INCONCLUSIVE:
            said[-1] += ", which cannot be told more sharply here"
    elif latency is not None and latency.outcome is CheckOutcome.SKIPPED:
        said.append(f"could not be timed: {latency.reason}")
    if dependent_after(findings):
        said.append("its results depend on an option of the runtime, as before")
    return ", ".join(said)


def _identical(findings: Findings) -> bool:
    return any(one.question.metric == OUTPUTS and one.unchanged for one in findings.evidence)


def dependent_after(findings: Findings) -> bool:
    """Whether results depend on what the runtime is told."""
    return any(level.after is not None and off(level.after) for level in findings.levels)
