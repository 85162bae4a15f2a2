"""An artifact that the store lost (it was cleared, or the run was copied elsewhere), made again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from ...profiles.errors import UserError
from ..driver.budget import Budget
from ..job.job import Job, load_job, own_code_beside
from ..ranking.as_run import artifact_of
from ..record.evaluation import Evaluation, Outcome, StudyRecord
from ..record.progress import Progress
from ..record.setting import Setting
from ..stages.chain import Chain
from ..stages.models.load import check_data
from ..storage.run_file import read_run_file
from ..store.opening import entry_in, open_store
from .device import device_stages
from .kind import StudyKind
from .retarget import Retarget, retarget_job


def with_artifact(path: Path, record: StudyRecord, number: int, progress: Progress) -> StudyRecord:
    """The record, naming a store that has the artifact of a complete trial; what is missing is made again.

    `path` is the study file or the run's directory. Trials that have no artifact are left to the caller.

    Raises:
        UserError: the study file is gone, or describes something else by now.
    """
    missed = f"the store no longer has the artifact of trial {number}"
    with suppress(UserError):  # a study file that is gone is missed only where it is needed
        own_code_beside(study_file_of(path, missed))
    trial = next((t for t in record.trials if t.number == number), None)
    if trial is None or trial.evaluation.outcome is not Outcome.COMPLETE:
        return record
    own = number if trial.duplicate_of is None else trial.duplicate_of
    key, setting = artifact_of(record, own)
    if entry_in(record.store, "compile", key) is not None:
        return record
    job, kind = job_of(path, missed, estimate=record.estimated is not None)
    if entry_in(job.places.store_name, "compile", key) is None:
        progress.note(f"the store lost the artifact of trial {number}: it is made again")
        _make(job, kind, trial.evaluation, key, setting, progress)
    return replace(record, store=job.places.store_name)


def study_file_of(path: Path, missed: str) -> Path:
    """The study file of a run; `path` is that, or the run's directory.

    Raises:
        UserError: it is gone; `missed` says what cannot be had without it.
    """
    file = path if path.is_file() else read_run_file(path).study_file
    if not file.is_file():
        raise UserError(
            f"{missed}, and the study file is gone",
            place=str(path),
            found=f"nothing at {file}",
            remedy="name the study file in place of the run's directory: what is missing is made from it",
        )
    return file


def job_of(path: Path, missed: str, *, estimate: bool = False) -> tuple[Job, StudyKind]:
    """The job of a run as things are now, and the kind of its study.

    Raises:
        UserError: the study file is gone, or something that it names cannot be accepted.
    """
    file = study_file_of(path, missed)
    run = None if path.is_file() else read_run_file(path)
    if run is None or not run.of:
        return load_job(file, estimate=estimate), StudyKind()
    return retarget_job(file, run.of, run.profile, estimate=estimate), Retarget(run.of)


@contextmanager
def chain_of(job: Job, kind: StudyKind, progress: Progress) -> Iterator[Chain]:
    """The models and the device of a study that is not to be gone on with; a device is opened where it is
    asked something."""
    check_data(job.loaded)
    store = open_store(job.places.store_name)
    models = kind.models(job, store, progress, Budget(trials=None, seconds=None))
    models.prepare(kind.space(models.possible(job.space, job.file.deploy.setting.batch).space, models))
    device = device_stages(job, job.reached(), store, progress, models)
    try:
        yield Chain(models, device)
    finally:
        device.close()


def _make(
    job: Job, kind: StudyKind, evaluation: Evaluation, key: str, setting: Setting | None, progress: Progress
) -> None:
    with chain_of(job, kind, progress) as chain:
        made = chain.artifact(evaluation, setting)
    if made.key != key:
        raise UserError(
            "the artifact cannot be made again: something that it depends on has changed since",
            place=str(job.places.study_file),
            found=f"the workload, its data, the study file or a runtime's version; made {made.key[:12]}, "
            f"the study has {key[:12]}",
            remedy="undo the change, or run a study with another `name` as things are now",
        )
