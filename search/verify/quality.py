"""Quality of what an artifact gives now, against that of what it gave then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import isclose

from ...profiles.errors import StageError
from ...profiles.quantity import Quantity
from ..checks.evidence import Evidence, Question, skipped
from ..checks.paired import compared
from ..checks.tolerances import Tolerances
from ..stages.device.interval import score
from ..workload.metric import Metric
from ..workload.outputs import OutputChoice
from .recorded import RecordedSamples
from .shipped import Array


def question_of(subject: str, metric: str, tolerances: Tolerances, *, higher: bool) -> Question:
    """That of a quality."""
    return Question(subject=subject, metric=metric, tolerance=tolerances.of(metric), higher=higher)


def on_samples(
    question: Question, metric: Metric, recorded: RecordedSamples, now: Mapping[str, Array]
) -> Evidence:
    """On the samples that were recorded: in pairs, sample by sample."""
    if recorded.targets is None:
        return skipped(question, "the samples that travel along have no targets: give some with --data")
    try:
        then = _scored(metric, recorded.choice, recorded.outputs, recorded.targets)
    except StageError as error:
        return skipped(question, f"it cannot be computed on the samples that travel along ({error.cause})")
    try:
        found = _scored(metric, recorded.choice, now, recorded.targets)
    except StageError as error:
        return _lost(question, then, error.cause)
    return compared(question, then, found)


def on_data(
    question: Question,
    metric: Metric,
    choice: OutputChoice,
    now: Mapping[str, Array],
    targets: Array,
    expected: Quantity,
    *,
    same_samples: bool = False,
) -> Evidence:
    """On other samples than those that the expected value was taken on, each by its own interval. On the
    `same_samples` it may well be the very same value, which is then no matter of chance."""
    try:
        found = _scored(metric, choice, now, targets)
    except StageError as error:
        return _lost(question, expected, error.cause)
    evidence = compared(question, replace(expected, by_sample=None), found)
    if same_samples and isclose(found.value, expected.value, rel_tol=1e-9):
        return replace(evidence, unchanged=True, reason=f"the recorded value, on {len(targets)} samples")
    return evidence


def _lost(question: Question, expected: Quantity, cause: str) -> Evidence:
    evidence = skipped(question, "")
    return replace(evidence, skipped=False, p=0.0, loss=1.0, expected=expected, reason=cause)


def _scored(metric: Metric, choice: OutputChoice, outputs: Mapping[str, Array], targets: Array) -> Quantity:
    given = choice.for_metric(choice.by_name(outputs))
    return score(metric, given, targets, place="the artifact's outputs", samples="verify")
