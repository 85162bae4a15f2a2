"""What a later night is compared with, as one plain value: taken from a record, and kept as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from ...backends.registry import get_backend
from ...profiles.errors import UserError
from ...profiles.quantity import Quantity, was_noisy
from ..ranking.as_run import artifact_of
from ..ranking.known import TEST, known_metrics, reference_quality, reference_trial, trial_of
from ..ranking.reading import Reading, read
from ..ranking.slowed import slowed_line
from ..record.digest import digest_of
from ..record.evaluation import Evaluation, Limit, StudyRecord
from ..record.quality import higher_is_better

_ALIKE = ("processor", "machine", "cores", "affinity", "governor", "turbo_off")
"""What a machine must have as it was, so that times on it compare."""
MOST_OTHERS = 12
"""Of the best ranked: one of them may be recommended by tomorrow."""


@dataclass(frozen=True, kw_only=True)
class Shippable:
    """One candidate with its numbers. `digest` names it, `artifact_key` its file; `setting` is how it is run,
    where that is not the study's own way. Its quality is that on `split`."""

    number: int
    digest: str
    title: str
    artifact_key: str = ""
    setting: str = ""
    split: str = TEST
    metrics: dict[str, Quantity] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """The uncompressed teacher, which latencies are told against. `model` names its weights, `structure` what
    it computes whatever they are ("": not known), `artifact_key` its file as a version of its runtime has
    made it, `versions` those of its runtime's packages. `latency_ms` is its own, `quality` that of the same
    model on the test split."""

    model: str = ""
    structure: str = ""
    artifact_key: str = ""
    backend: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    latency_ms: Quantity | None = None
    quality: Quantity | None = None


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """All of a night that another is compared with.

    `source` says where it is from, `status` is that of the study's verdict ("": not known), `shipped` what it
    recommends (None: nothing). `others` are finalists and the best ranked beside it. `quality` names the
    workload's metric. `processes` is how many of each finalist were timed, `process_spread` what they differ
    by, as a share, as an A/A has shown (0: none was taken). `machine` is what must be as it was so that times
    compare, `versions` are those of packages; `disturbed` says what disturbed the measurement.
    """

    source: str
    study: str
    quality: str
    higher_is_better: bool = True
    workload: str = ""
    profile: str = ""
    ended: str = ""
    status: str = ""
    shipped: Shippable | None = None
    others: tuple[Shippable, ...] = ()
    anchor: Anchor = Anchor()
    limits: tuple[Limit, ...] = ()
    processes: int = 0
    process_spread: float = 0.0
    estimated: bool = False
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    disturbed: str = ""

    def known(self, digest: str) -> Shippable | None:
        """A candidate by its digest, where this night knows it."""
        shipped = (self.shipped,) if self.shipped is not None else ()
        return next((one for one in (*shipped, *self.others) if one.digest == digest), None)


BASELINE = TypeAdapter(Baseline)


def baseline_of(record: StudyRecord, source: str = "") -> Baseline:
    """What a study's record has for later nights; `source` says where it lies."""
    reading = read(record)
    number, timing = reading.verdict.recommended, record.timing
    finalists = [one.number for one in record.finalists]
    best = [one.number for one in reading.ranking.entries[:MOST_OTHERS]]
    others = [one for one in dict.fromkeys((*finalists, *best)) if one != number]
    return Baseline(
        source=source or f"study {record.name}",
        study=record.name,
        quality=record.quality,
        higher_is_better=higher_is_better(record, record.quality),
        workload=record.workload,
        profile=record.profile,
        ended=record.ended,
        status=reading.verdict.status,
        shipped=None if number is None else _shippable(record, number),
        others=tuple(_shippable(record, other) for other in others),
        anchor=_anchor(reading),
        limits=record.limits,
        processes=0 if timing is None else timing.processes,
        process_spread=timing.process_spread if timing is not None and timing.processes else 0.0,
        estimated=record.estimated is not None,
        machine=machine_of(record.environment),
        versions=versions_of(record.environment),
        disturbed=_disturbed(record, number),
    )


def machine_of(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Of an environment, what must be as it was so that times compare."""
    return {name: environment[name] for name in _ALIKE if name in environment}


def versions_of(environment: Mapping[str, Any]) -> dict[str, str]:
    """Versions of packages, of Python and of the system."""
    found = environment.get("packages")
    packages = found if isinstance(found, Mapping) else {}
    others = {name: environment[name] for name in ("python", "kernel") if name in environment}
    return {str(name): str(version) for name, version in {**packages, **others}.items()}


def _shippable(record: StudyRecord, number: int) -> Shippable:
    candidate = trial_of(record, number).evaluation.candidate
    metrics, split = known_metrics(record, number)
    key, setting = artifact_of(record, number)
    return Shippable(
        number=number,
        digest=candidate.digest,
        title=candidate.title,
        artifact_key=key,
        setting="" if setting is None else setting.title,
        split=split,
        metrics=metrics,
    )


def _anchor(reading: Reading) -> Anchor:
    record, trial = reading.record, reference_trial(reading.record)
    if trial is None:
        return Anchor()
    evaluation, number = trial.evaluation, reading.verdict.recommended
    timed = known_metrics(record, trial.number if number is None else number)[0]
    return Anchor(
        model=_made_from(evaluation),
        structure=_structure(record),
        artifact_key=evaluation.artifact_key,
        backend=evaluation.candidate.backend,
        versions=_of_runtime(evaluation.candidate.backend, versions_of(record.environment)),
        latency_ms=own_latency(timed),
        quality=reference_quality(record, TEST) or reference_quality(record, "validation"),
    )


def _made_from(evaluation: Evaluation) -> str:
    """Which weights: the key of the stage that has them."""
    return next((stage.key for stage in evaluation.stages if stage.name == "teacher"), "")


def _structure(record: StudyRecord) -> str:
    """By what the teacher is known, whatever its weights: as many multiply-adds and parameters."""
    facts = [(name, record.teacher.get(name)) for name in ("macs", "parameters", "output_shape")]
    return digest_of(facts)[:16] if all(value is not None for _, value in facts) else ""


def _of_runtime(backend: str, versions: Mapping[str, str]) -> dict[str, str]:
    try:
        packages = get_backend(backend).packages
    except UserError:  # a runtime of the user's own, that is not installed here
        packages = ()
    return {name: versions[name] for name in packages if name in versions}


def own_latency(metrics: Mapping[str, Quantity]) -> Quantity | None:
    """The reference's own latency when something was measured beside it: that one's quickest run over its
    ratio, which is one of quickest runs too. What else a machine does moves typical runs far more."""
    latency, ratio = metrics.get("latency_min_ms"), metrics.get("latency_ratio")
    if latency is None or ratio is None or min(ratio.value, latency.value) <= 0:
        return None
    scale = 1 / ratio.value
    low, high = latency.ends
    how = "the quickest run in the same rounds, over the ratio"
    return Quantity(value=latency.value * scale, low=low * scale, high=high * scale, how=how)


def _disturbed(record: StudyRecord, number: int | None) -> str:
    """What disturbed the measurement of what is shipped."""
    if number is None:
        return ""
    said = trial_of(record, number).evaluation.stability
    noisy = () if number in {one.number for one in record.finalists} or not was_noisy(said) else (said,)
    return "; ".join(filter(None, (*noisy, slowed_line(record, number))))
