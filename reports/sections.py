"""The sections below the table: what went wrong, what was masked, what decides, how numbers were obtained."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..search.evaluation import Outcome, StudyRecord, TrialRecord
from ..search.metrics import metric_info
from .views import why


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


def problems(record: StudyRecord) -> tuple[ProblemGroup, ...]:
    """Gated, refused and failed trials, grouped; failures first, then the largest groups."""
    groups: dict[tuple[str, str], list[TrialRecord]] = defaultdict(list)
    for trial in record.trials:
        if trial.evaluation.outcome is not Outcome.COMPLETE and trial.duplicate_of is None:
            groups[trial.evaluation.outcome.value, _alike(why(trial))].append(trial)
    order = [Outcome.FAILED.value, Outcome.GATED.value, Outcome.REFUSED.value]
    made = [
        ProblemGroup(outcome=outcome, reason=_shared_reason(trials), cases=tuple(map(_case, trials)))
        for (outcome, _), trials in groups.items()
    ]
    return tuple(sorted(made, key=lambda g: (order.index(g.outcome), -len(g.cases), g.reason)))


def _alike(reason: str) -> str:
    return re.sub(r"\d+(\.\d+)?", "0", reason)


def _shared_reason(trials: list[TrialRecord]) -> str:
    """The reason where all have the same; else with "…" for the numbers that differ."""
    texts = [why(trial) for trial in trials]
    if len(set(texts)) == 1:
        return texts[0]
    pieces = [re.split(r"(\d+(?:\.\d+)?)", text) for text in texts]
    return "".join(parts[0] if len(set(parts)) == 1 else "…" for parts in zip(*pieces, strict=False))


def _case(trial: TrialRecord) -> Case:
    evaluation = trial.evaluation
    return Case(
        number=trial.number, title=evaluation.candidate.title, reason=why(trial), log=evaluation.log.strip()
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
    """Every way in which a number of this study was obtained."""
    counts: dict[tuple[str, str, str], int] = defaultdict(int)
    for trial in record.trials:
        if trial.duplicate_of is None:
            for metric, quantity in (trial.evaluation.metrics or trial.evaluation.gate).items():
                counts[metric, quantity.provenance, quantity.how] += 1
    for finalist in record.finalists:
        for metric, quantity in finalist.metrics.items():
            counts[metric, quantity.provenance, f"{quantity.how} (finalists)"] += 1
    return tuple(
        Origin(metric=metric_info(metric).title, provenance=provenance, how=how, count=count)
        for (metric, provenance, how), count in sorted(counts.items())
    )


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
    for suffix, metric in ((" bytes", "size_bytes"), (" ms", "latency_ms")):
        if label.endswith(suffix) and isinstance(value, (int, float)):
            return label.removesuffix(suffix), metric_info(metric).format(value)
    if label.endswith(" seconds") and isinstance(value, (int, float)):
        return label.removesuffix(" seconds") + " time", duration(value)
    if isinstance(value, float):
        return label, f"{value:.6g}"
    return label, ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def duration(seconds: float) -> str:
    """ "3 min 20 s"."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
