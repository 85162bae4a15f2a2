"""The sections below the table: what went wrong, what was masked, what decides, how numbers were obtained."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...profiles.words import duration
from ...search.record.evaluation import Outcome, Quantity, StudyRecord, TrialRecord
from ...search.record.metrics import metric_info
from ...search.record.training import went_on
from .alike import merged, pattern
from .views import why

LOG_CHARACTERS = 8000  # the end of a log says what happened; a page with all of it could not be opened


@dataclass(frozen=True, kw_only=True)
class Case:
    """One trial of a group, with its own reason and log."""

    number: int
    title: str
    reason: str
    log: str


@dataclass(frozen=True, kw_only=True)
class ProblemGroup:
    """Trials that ended alike: gated, refused or failed, for the same reason up to its numbers."""

    outcome: str
    reason: str
    cases: tuple[Case, ...]


@dataclass(frozen=True, kw_only=True)
class MaskedGroup:
    """Combinations that were never offered on one backend, for one reason."""

    backend: str
    what: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Share:
    """How much of a metric's variation one axis explains, 0 to 1."""

    axis: str
    share: float


@dataclass(frozen=True, kw_only=True)
class Origin:
    """How the numbers of one metric were obtained, and how many were obtained that way."""

    metric: str
    provenance: str
    how: str
    count: int


DOMINATED = "certain to be dominated, whatever the training gives within its bound"
HOPELESS = "certain to miss a limit, whatever the training gives within its bound"
GIVEN_UP = "training given up: whatever its end within the bound, dominated or over a limit"
GIVEN_UP_FOR_NOW = "training paused: whatever its end within the bound, dominated or over a limit"
PAUSED = "training paused: something else promised more for its time"
LATE = "training paused: it would not have ended in the time that was left"


def problems(record: StudyRecord) -> tuple[ProblemGroup, ...]:
    """Gated, refused and failed trials, grouped; failures first, then the largest groups."""
    groups: dict[tuple[str, tuple[str, ...]], list[TrialRecord]] = defaultdict(list)
    later = went_on(record)
    for trial in record.trials:
        own = trial.duplicate_of is None and trial.number not in later
        if trial.evaluation.outcome is not Outcome.COMPLETE and own:
            groups[trial.evaluation.outcome.value, _kind(trial)].append(trial)
    order = [Outcome.FAILED.value, Outcome.GATED.value, Outcome.REFUSED.value]
    made = [
        ProblemGroup(outcome=outcome, reason=_reason(kind, trials), cases=tuple(map(_case, trials)))
        for (outcome, kind), trials in groups.items()
    ]
    return tuple(sorted(made, key=lambda g: (order.index(g.outcome), -len(g.cases), g.reason)))


def _kind(trial: TrialRecord) -> tuple[str, ...]:
    """What trials of one group have in common: their reason up to its numbers. Where a bound decided, each
    reason names its own relatives, and the kind of decision is what they share."""
    evaluation = trial.evaluation
    if evaluation.stopped_epoch:
        if not evaluation.paused:
            return (GIVEN_UP,)
        if evaluation.late:
            return (LATE,)
        return (PAUSED if evaluation.bound is None else GIVEN_UP_FOR_NOW,)
    if evaluation.bound is not None:
        return (HOPELESS if evaluation.bound.beaten_by is None else DOMINATED,)
    return pattern(why(trial))


def _reason(kind: tuple[str, ...], trials: Sequence[TrialRecord]) -> str:
    texts = list(map(why, trials))
    return merged(texts) if len(set(map(pattern, texts))) == 1 else kind[0]


def _case(trial: TrialRecord) -> Case:
    evaluation = trial.evaluation
    return Case(
        number=trial.number,
        title=evaluation.candidate.title,
        reason=why(trial),
        log=evaluation.log.strip()[-LOG_CHARACTERS:],
    )


def masked(record: StudyRecord) -> tuple[MaskedGroup, ...]:
    """Masked combinations with one line per backend and reason."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for item in record.masked:
        found[item.backend, item.reason].append(item.what)
    return tuple(
        MaskedGroup(
            backend=backend, what=", ".join("everything" if w == "all" else w for w in what), reason=reason
        )
        for (backend, reason), what in found.items()
    )


def importances(record: StudyRecord) -> dict[str, tuple[Share, ...]]:
    """Title of each metric -> its axes, the strongest first."""
    return {
        metric_info(metric).title: tuple(
            Share(axis=axis, share=share)
            for axis, share in sorted(shares.items(), key=lambda item: (-item[1], item[0]))
        )
        for metric, shares in record.importances.items()
    }


def origins(record: StudyRecord) -> tuple[Origin, ...]:
    """Every way in which a number of this study was obtained; ways that differ in numbers alone are one."""
    found: dict[tuple[str, str, tuple[str, ...]], list[str]] = defaultdict(list)

    def note(metrics: Mapping[str, Quantity], where: str = "") -> None:
        for metric, quantity in metrics.items():
            how = quantity.how + where
            found[metric, quantity.provenance, pattern(how)].append(how)

    for trial in record.trials:
        if trial.duplicate_of is None:
            note(trial.evaluation.metrics or trial.evaluation.gate)
    for finalist in record.finalists:
        note({**finalist.metrics, **finalist.side_effects}, " (finalists)")
    return tuple(
        Origin(metric=metric_info(metric).title, provenance=provenance, how=merged(texts), count=len(texts))
        for (metric, provenance, _), texts in sorted(found.items())
    )


def remarks(record: StudyRecord) -> tuple[str, ...]:
    """What the sampler remarked, what trainings found out about the teacher, and finalists that failed;
    remarks that differ in their numbers alone are one."""
    found: dict[tuple[str, ...], list[str]] = defaultdict(list)
    about = (remark for trial in record.trials for remark in trial.evaluation.about_teacher)
    for remark in (*record.remarks, *about):
        found[pattern(remark)].append(remark)
    failed = (
        f"finalist #{one.number} was not confirmed, its numbers are those of the search: {one.failed}"
        for one in record.unconfirmed
    )
    return (*map(merged, found.values()), *failed)


def facts(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested values as lines of name and text; empty ones are left out."""
    lines: list[tuple[str, str]] = []
    for name, value in values.items():
        label = f"{prefix}{name}".replace("_", " ")
        if isinstance(value, Mapping):
            lines += facts(value, f"{label}: ")
        elif value not in ("", None) and value != []:
            lines.append(_fact(label, value))
    return lines


def _fact(label: str, value: Any) -> tuple[str, str]:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        for suffix, metric in ((" bytes", "size_bytes"), (" ms", "latency_ms")):
            if label.endswith(suffix):
                return label.removesuffix(suffix), metric_info(metric).format(value)
        if label.endswith(" seconds"):
            return label.removesuffix(" seconds") + " time", duration(value)
        if label in ("macs", "parameters"):
            return metric_info(label).title.lower(), metric_info(label).format(value)
    items = value if isinstance(value, (list, tuple)) else [value]
    return label, ", ".join(f"{item:.6g}" if isinstance(item, float) else str(item) for item in items)


_COUNTERS = {
    "space": "combinations in the space",
    "candidates": "different candidates",
    "duplicates": "answered from the record",
    "trainings": "trainings done",
    "trainings_used": "different trainings used",
    "trainings_asked": "trainings asked for",
    "gated_before_training": "gated before training",
    "measured": "measurements on the device",
    "waited_seconds": "seconds in which others had the device",
}


def counters(record: StudyRecord) -> list[tuple[str, str]]:
    """What the study did, in words and numbers."""
    names = {**_COUNTERS, "measured": "estimated before any training"} if record.estimated else _COUNTERS
    return facts({names.get(name, name): value for name, value in record.counters.items()})


def teacher(record: StudyRecord) -> list[tuple[str, str]]:
    """What is known of the teacher; its quality in the metric's own unit."""
    known = dict(record.teacher)
    quality = known.pop("quality", {})
    info = metric_info(record.quality)
    splits = {f"{info.title.lower()} on {split}": info.format(value) for split, value in quality.items()}
    return facts({**known, **splits})
