"""A study for a device that cannot be reached: measurements that were brought, and who estimates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from ...backends.registry import get_backend, taker_of
from ...profiles.errors import UserError
from ...profiles.words import joined
from ..driver.budget import Budget
from ..job.absent import Estimating
from ..job.job import Job
from ..job.measurements import HandTimed, read_measurements
from ..ranking.known import complete_trials
from ..ranking.ranking import rank
from ..record.estimated import Brought, Estimated
from ..record.evaluation import Quantity, StudyRecord
from ..record.metrics import HARDWARE_METRICS, metric_info
from ..stages.absent.chain import AbsentChain, structure_of
from ..stages.absent.estimates import ENERGY, KNOWN, LATENCY, MEMORY, DeviceEstimates
from ..stages.absent.stages import AbsentStages
from ..stages.chain import Chain
from ..stages.device.stages import DeviceStages
from ..stages.models.base import Models
from ..storage.read_only import study_for_reading
from .further import questions_of
from .hand_timed import Named
from .recorded import recorded_beside


@dataclass(frozen=True, kw_only=True)
class Absent:
    """The device of a study cannot be reached. `measurements`: a file of what somebody has measured there."""

    measurements: Path | None = None


def absent_device(estimate: bool, measurements: Path | None) -> Absent | None:
    """What a command line asks for: measurements of a device say that it is estimated."""
    return Absent(measurements=measurements) if estimate or measurements else None


def with_measurements(job: Job, absent: Absent | None) -> Job:
    """The job, with the measurements of its device that are known: those of the file, which stand in place of
    all that were brought before; without one, those.

    Raises:
        UserError: the file cannot be read, or names what this study has not compiled.
    """
    if job.estimate is None or absent is None:
        return job
    _check_countable(job)
    earlier = _earlier(job)
    kept = earlier.estimated if earlier and earlier.estimated else Estimated(device=job.profile.title)
    known = Estimating(brought=kept.brought, recorded=recorded_beside(job), before=kept.before)
    if absent.measurements is not None:
        brought = _brought(read_measurements(absent.measurements), absent.measurements, job, earlier)
        known = replace(known, brought=brought)
        if _rows(brought) != _rows(kept.brought):
            known = replace(known, before=_latencies(earlier))
    job = replace(job, estimate=known)
    _check_can_be_told(job, known)
    return job


def _rows(brought: Sequence[Brought]) -> list[tuple[str, dict[str, float]]]:
    return [(one.artifact, one.metrics) for one in brought]


def _check_countable(job: Job) -> None:
    """Raises:
    UserError: the model is one whose layers cannot be counted.
    """
    taker = None if job.loaded.given is None else taker_of(job.loaded.given)
    if taker is not None:
        raise UserError(
            f"a model that exists only as {get_backend(taker).source_title} cannot be estimated: its layers "
            "are counted from ONNX",
            place="workload",
            found=str(job.loaded.given),
            accepted="a PyTorch model, or an ONNX file",
        )


def _check_can_be_told(job: Job, known: Estimating) -> None:
    """Raises:
    UserError: a limit or an objective is on something that no estimate tells.
    """
    asked = [*(limit.metric for limit in job.limits), *(objective.metric for objective in job.objectives)]
    told = {LATENCY, *KNOWN, *_told_beside(job, known)}
    unknown = sorted((set(asked) & set(HARDWARE_METRICS)) - told)
    if not unknown:
        return
    hints = {
        MEMORY: "memory is estimated where a study beside this one has measured it for each runtime: run "
        "this study here first, and retarget it",
        ENERGY: "energy is estimated where the profile states `power_w`",
    }
    hint = next((hints[metric] for metric in unknown if metric in hints), "")
    raise UserError(
        f"{_titles(unknown)} cannot be estimated for a device that is not there",
        place="objectives or constraints",
        accepted=f"{_titles(sorted(told))} are estimated or known; quality is scored here",
        remedy=hint or "leave it out until the device can be reached",
    )


def _told_beside(job: Job, known: Estimating) -> set[str]:
    """Memory, where it is known of each runtime; energy, where anything is known of the device's power."""
    seen = [(c.backend, metrics) for one in known.recorded for c, metrics in one.measured]
    seen += [(one.candidate.backend, one.metrics) for one in known.brought]
    with_memory = {backend for backend, metrics in seen if MEMORY in metrics}
    powered = job.profile.power_w is not None or any(ENERGY in one.metrics for one in known.brought)
    every = all(one.name in with_memory for one in job.space.backends)
    return ({MEMORY} if every else set()) | ({ENERGY} if powered else set())


def _titles(metrics: Iterable[str]) -> str:
    return joined([metric_info(metric).title.lower() for metric in metrics])


def _earlier(job: Job) -> StudyRecord | None:
    """What an earlier session of this study has found, where it was estimated too."""
    file = job.places.storage.file
    if file is not None and not file.is_file():
        return None
    with suppress(UserError), study_for_reading(job.places.storage, job.file.name) as studies:
        record = studies.unweighed() if studies.readable else None
        return record if record is not None and record.estimated is not None else None
    return None


def _latencies(record: StudyRecord | None) -> dict[str, Quantity]:
    trials = complete_trials(record) if record else []
    found = {one.evaluation.candidate.digest: one.evaluation.metrics.get("latency_ms") for one in trials}
    return {digest: quantity for digest, quantity in found.items() if quantity is not None}


def _brought(
    rows: Sequence[HandTimed], file: Path, job: Job, earlier: StudyRecord | None
) -> tuple[Brought, ...]:
    """What was measured of each artifact: the median where it was measured several times."""
    if earlier is None or earlier.estimated is None:
        raise UserError(
            f"the study {job.file.name!r} was not estimated yet: nothing of it can have been measured",
            place=str(file),
            remedy="run it with --estimate first; its report names the artifacts to measure",
        )
    named = Named(complete_trials(earlier), earlier.estimated.brought)
    found: dict[str, list[HandTimed]] = defaultdict(list)
    for row in rows:
        found[named.artifact(row)].append(row)
    return tuple(
        replace(
            named.brought(key),
            metrics=_medians([row.metrics for row in several]),
            source=file.name,
            trial=next((row.trial for row in several if row.trial is not None), None),
        )
        for key, several in sorted(found.items())
    )


def _medians(several: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for one in several for name in one)
    return {name: median([one[name] for one in several if name in one]) for name in names}


def record_of_estimates(job: Job) -> Estimated | None:
    """What the record says of the estimates."""
    if job.estimate is None:
        return None
    known = job.estimate
    return Estimated(device=job.profile.title, basis=known.basis, brought=known.brought, before=known.before)


def worth_timing(frame: StudyRecord, record: StudyRecord, chain: Chain) -> StudyRecord:
    """The frame with the trials whose timings on the device would tell most: the best first, those that were
    timed left out."""
    if not isinstance(chain, AbsentChain) or frame.estimated is None:
        return frame
    timed = {one.candidate.hardware_class() for one in frame.estimated.brought}
    complete = {one.number: one.evaluation.candidate for one in complete_trials(record)}
    numbers = [entry.number for entry in rank(record).entries if entry.number in complete]
    numbers = [number for number in numbers if complete[number].hardware_class() not in timed]
    chosen = tuple(numbers[place] for place in chain.estimates.to_measure([complete[n] for n in numbers]))
    return replace(frame, estimated=replace(frame.estimated, to_measure=chosen))


def chain_of(job: Job, models: Models, device: DeviceStages, budget: Budget) -> Chain:
    """All stages of the job's candidates, with what is asked of their artifacts."""
    if isinstance(device, AbsentStages):
        assert job.estimate is not None
        estimates = DeviceEstimates(
            profile=job.profile,
            threads=job.file.deploy.setting.threads,
            batch=job.file.deploy.setting.batch,
            structure=lambda candidate: structure_of(models, candidate, job.file.deploy.setting.batch),
            brought=job.estimate.brought,
            backends=[one.name for one in job.space.backends],
            recorded=[
                (candidate, one.profile, one.threads, metrics)
                for one in job.estimate.recorded
                for candidate, metrics in one.measured
            ],
        )
        return AbsentChain(models, device, estimates, budget.checkpoint)
    asked = questions_of(job, budget)
    return Chain(models, device, budget.checkpoint, asked.always, asked.of_finalists)
