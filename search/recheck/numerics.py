"""Outputs of one artifact before and after: the largest difference, flipped decisions, quality in pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ...backends.contract.backend import Array
from ...profiles.errors import StageError
from ...profiles.quantity import Quantity
from ..checks.evidence import Evidence, Question, fact, skipped
from ..checks.paired import compared
from ..checks.shares import share_beyond
from ..checks.tolerances import Tolerance, Tolerances
from ..record.checks import DECISIONS, OUTPUTS, Scale
from ..stages.device.judged import SATURATING
from ..stages.device.tolerance import Difference, difference
from ..workload.decisions import flipped
from ..workload.task import CLASS_TASKS, UNKNOWN
from .kept import KeptArtifact
from .questions import AskedSamples

Outputs = Mapping[str, Array]


def numerics(
    subject: str,
    artifact: KeptArtifact,
    questions: AskedSamples,
    before: Outputs,
    after: Outputs,
    tolerances: Tolerances,
    *,
    saturates: bool = False,
) -> list[Evidence]:
    """What speaks for other numbers than before: outputs, decisions, quality."""
    found = [outputs_evidence(subject, artifact, questions, before, after, saturates=saturates)]
    flips = _flips(questions, before, after)
    if flips is not None:
        count, of = flips
        said = f"{count} of {of} samples are decided otherwise"
        question = Question(
            subject=subject, metric=DECISIONS, tolerance=tolerances.of(DECISIONS), higher=False
        )
        found.append(share_beyond(question, count, of, said))
    return [*found, *_quality(subject, questions, before, after, tolerances)]


def outputs_evidence(
    subject: str,
    artifact: KeptArtifact,
    questions: AskedSamples,
    before: Outputs,
    after: Outputs,
    *,
    saturates: bool = False,
) -> Evidence:
    """The largest difference, in standard deviations of what there was, of the output with the least room.
    `saturates`: one of both processors saturates sums of 8-bit products, and the other does not."""
    try:
        one, other = questions.named(before), questions.named(after)
    except StageError as error:
        return wrong_outputs(subject, error.cause)
    if wrong := _wrong_form(one, other):
        return wrong_outputs(subject, wrong)
    found = {name: _difference(artifact, name, one, other, saturates) for name in one}
    name = min(found, key=lambda key: found[key].room)
    worst, rows = found[name], len(one[name])
    equal = all(np.array_equal(one[key], other[key], equal_nan=True) for key in one)
    which = f" in output {name!r}" if len(one) > 1 else ""
    value = Quantity(value=worst.worst, how=f"the sample of {rows} that differs most")
    over_all = f"{worst.off:.2g} over all {rows} samples{which}"
    allowed = Tolerance(amount=worst.worst_allowed, relative=False)
    return Evidence(
        question=Question(subject=subject, metric=OUTPUTS, tolerance=allowed, higher=False),
        scale=Scale.DIFFERENCE,
        loss=worst.worst,
        margin=worst.worst_allowed,
        p=0.0 if worst.beyond else 1.0,
        expected=Quantity(value=0.0),
        found=value,
        change=value,
        unchanged=equal,
        reason=f"identical over {rows} samples" if equal else over_all,
    )


def wrong_outputs(subject: str, reason: str) -> Evidence:
    """Outputs that cannot even be compared, or are not there."""
    question = Question(subject=subject, metric=OUTPUTS, tolerance=Tolerance(amount=0.0, relative=False))
    return replace(fact(question, 1, reason), expected=None, found=None, change=None)


def _difference(
    artifact: KeptArtifact, name: str, one: Outputs, other: Outputs, saturates: bool
) -> Difference:
    errors = artifact.described.get("errors") or {}
    own = next(iter(errors.values())) if len(errors) == len(one) == 1 else errors.get(name, {})
    saturating = saturates and artifact.precision in SATURATING
    return difference(one[name], other[name], artifact.precision, own, saturates=saturating)


def _wrong_form(before: Outputs, after: Outputs) -> str:
    for name, was in before.items():
        now = after.get(name)
        if now is None:
            return f"there is no output {name!r} any more, but {', '.join(after)}"
        if now.shape != was.shape or now.dtype.kind != was.dtype.kind:
            return f"output {name!r} is {now.dtype}{list(now.shape)}, it was {was.dtype}{list(was.shape)}"
        if now.dtype.kind == "f" and (lost := np.isfinite(was) & ~np.isfinite(now)).any():
            rows = int(lost.reshape(len(lost), -1).any(axis=1).sum())
            return f"NaN or infinity in output {name!r} for {rows} of {len(now)} samples"
    return ""


def _flips(questions: AskedSamples, before: Outputs, after: Outputs) -> tuple[int, int] | None:
    """Of the primary output: samples decided otherwise, of how many; None where it decides nothing."""
    name = questions.choice.primary if questions.choice else next(iter(before))
    try:
        was, now = (questions.named(outputs).get(name) for outputs in (before, after))
    except StageError:
        return None
    if was is None or now is None or not np.isfinite(now).all():
        return None
    classes = questions.task in (*CLASS_TASKS, UNKNOWN)
    if was.dtype.kind == "f" and not classes:  # several numbers: the largest of them decides nothing
        return None
    return flipped(was, now, questions.labels, classes=classes)


def _quality(
    subject: str,
    questions: AskedSamples,
    before: Outputs,
    after: Outputs,
    tolerances: Tolerances,
) -> list[Evidence]:
    if questions.metric is None:
        return []
    metric = questions.metric
    question = Question(
        subject=subject,
        metric=metric.name,
        tolerance=tolerances.of(metric.name),
        higher=metric.higher_is_better,
    )
    try:
        was, now = (questions.score(outputs, f"{subject} on test") for outputs in (before, after))
    except StageError as error:
        return [skipped(question, error.cause)]
    return [] if was is None or now is None else [compared(question, was, now)]
