"""The study of one night: a study of its own for each problem, since a study refuses to become another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..driver.budget import StopFlag
from ..job.job import Job, load_job
from ..record.digest import digest_of
from ..record.progress import Progress
from ..storage.url import StorageUrl
from .kind import StudyKind
from .session import MakeWorkers, SessionEnd, run_job

_DIGITS = 8


def nightly_job(study: Path, runs: Path) -> Job:
    """The job of a study file, under a name that has a digest of its problem: another problem (other code,
    data or space) is a study of its own in `runs`, on the same store.

    Raises:
        UserError: the file or something it names cannot be accepted.
    """
    job = load_job(study)
    name = f"{job.file.name}-{digest_of(job.problem())[:_DIGITS]}"
    run_dir = runs / name
    own = job.file.storage is None
    storage = StorageUrl.of_file(run_dir / "study.db") if own else job.places.storage
    return replace(
        job,
        file=job.file.model_copy(update={"name": name}),
        places=replace(job.places, run_dir=run_dir, storage=storage),
    )


def run_night(
    job: Job, progress: Progress, stop: StopFlag, within: float, workers: MakeWorkers | None = None
) -> SessionEnd:
    """Run or resume the study within so many seconds. The finalists of one that has ended are measured anew.
    `workers` as in `run_study`.

    Raises:
        UserError: it cannot be run.
    """
    return run_job(job, StudyKind(), progress, stop, again=True, within=within, workers=workers)
