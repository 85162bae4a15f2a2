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
from ..record.evaluation import Quantity, StudyRecord
from ..storage.read_only import study_for_reading
from ..storage.run_file import RUN_FILE, RunFile, read_run_file
from ..storage.same_problem import PROBLEM
from .stored import stored_study

LATENCY = "latency_ms"
WANTED = (LATENCY, "memory_bytes", "energy_mj")


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
    measured = _measured(record) if profile else {}
    if profile is None or not measured:
        return []
    if _alike(profile, job.profile):
        profile = job.profile
    source = f"{counted(len(measured), 'model')} that {record.name} has measured on {profile.name}"
    known = tuple(measured.items())
    return [Recorded(source=source, profile=profile, threads=threads, measured=known)]


def _measured(record: StudyRecord) -> dict[Candidate, dict[str, float]]:
    """Of each structure at its precision, once; what was tuned says nothing of others."""
    found: dict[Candidate, dict[str, float]] = {}
    for trial in complete_trials(record):
        metrics = known_metrics(record, trial.number)[0]
        told = {name: metrics[name].value for name in WANTED if name in metrics and _usable(metrics[name])}
        if LATENCY in told and trial.evaluation.tuning is None:
            found.setdefault(trial.evaluation.candidate.hardware_class(), told)
    return found


def _usable(quantity: Quantity) -> bool:
    return not quantity.is_estimate and quantity.value > 0


def _profile(run: RunFile, record: StudyRecord) -> Profile | None:
    """The profile of the device that was measured; None where this machine is not the one it was then."""
    text = run.profile or load_study_file(run.study_file).profile
    if text == HOST and record.environment.get("processor") != processor_name():
        return None
    return load_profile(text, run.study_file.parent, probes())


def _alike(one: Profile, other: Profile) -> bool:
    """Whether both describe the same kind of device, however they are called and reached."""
    return bool(one.cpu and other.cpu) and one.cpu.model == other.cpu.model  # type: ignore[union-attr]
