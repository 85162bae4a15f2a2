"""What studies have measured with the models of a workload: what an estimate for another device rests on."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ...backends.measure.environment import processor_name
from ...backends.registry import probes
from ...profiles.devices.loader import HOST, load_profile
from ...profiles.devices.schema import Profile
from ...profiles.errors import ParetuneError
from ...profiles.words import counted
from ..job.absent import Recorded
from ..job.job import Job
from ..job.study_file import load_study_file
from ..ranking.known import complete_trials, known_metrics
from ..record.candidate import Candidate
from ..record.evaluation import StudyRecord
from ..storage.read_only import study_for_reading
from ..storage.run_file import RUN_FILE, RunFile, read_run_file
from ..storage.same_problem import PROBLEM
from .stored import stored_study

LATENCY = "latency_ms"


def recorded_beside(job: Job) -> tuple[Recorded, ...]:
    """What the other runs beside the job's own have measured of its workload's models, at its batch size. One
    that cannot be read is done without."""
    found = []
    for run_dir in sorted(file.parent for file in job.places.run_dir.parent.glob(f"*/{RUN_FILE}")):
        if run_dir != job.places.run_dir:
            with suppress(ParetuneError, OSError, ValueError):
                found += _recorded(job, run_dir)
    return tuple(found)


def _recorded(job: Job, run_dir: Path) -> list[Recorded]:
    run = read_run_file(run_dir)
    if not run.own:  # servers are asked only where they are named
        return []
    with study_for_reading(*stored_study(run_dir)) as studies:
        problem = studies.mapping(PROBLEM)
        if problem.get("workload") != job.loaded.source_digest or not studies.readable:
            return []
        record = studies.unweighed()
    deployed = problem.get("deploy") or {}
    batch, threads = deployed.get("batch"), deployed.get("threads")
    if record.estimated is not None or batch != job.file.deploy.setting.batch or not isinstance(threads, int):
        return []
    profile = _profile(run, record)
    latencies = _latencies(record) if profile else {}
    if profile is None or not latencies:
        return []
    if _alike(profile, job.profile):
        profile = job.profile
    source = f"{counted(len(latencies), 'latency').replace('latencys', 'latencies')} of {record.name} on "
    return [
        Recorded(
            source=source + profile.name, profile=profile, threads=threads, latencies=tuple(latencies.items())
        )
    ]


def _latencies(record: StudyRecord) -> dict[Candidate, float]:
    """Of each structure at its precision, once; what was tuned says nothing of others."""
    found: dict[Candidate, float] = {}
    for trial in complete_trials(record):
        latency = known_metrics(record, trial.number)[0].get(LATENCY)
        if latency is not None and not latency.is_estimate and trial.evaluation.tuning is None:
            found.setdefault(trial.evaluation.candidate.hardware_class(), latency.value)
    return found


def _profile(run: RunFile, record: StudyRecord) -> Profile | None:
    """The profile of the device that was measured; None where this machine is not the one it was then."""
    text = run.profile or load_study_file(run.study_file).profile
    if text == HOST and record.environment.get("processor") != processor_name():
        return None
    return load_profile(text, run.study_file.parent, probes())


def _alike(one: Profile, other: Profile) -> bool:
    """Whether both describe the same kind of device, however they are called and reached."""
    return bool(one.cpu and other.cpu) and one.cpu.model == other.cpu.model  # type: ignore[union-attr]
