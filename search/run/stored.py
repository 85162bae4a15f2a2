"""A run found again by its directory: what is kept there, and its record read from the storage."""

from __future__ import annotations

from contextlib import ExitStack, closing
from pathlib import Path

from ...profiles.errors import UserError
from ...profiles.files import is_file, make_folder
from ..job.job import Job
from ..job.places import places_of
from ..job.study_file import load_study_file
from ..record.evaluation import StudyRecord
from ..storage import write_ahead
from ..storage.read_only import study_for_reading
from ..storage.run_file import RUN_FILE, RunFile, read_run_file, write_run_file
from ..storage.storage import storage_trouble_explained, writing
from ..storage.study_store import StudyStore
from ..storage.url import StorageUrl
from ..store.users import remember_run


def write_run_file_of(job: Job) -> None:
    """Keep in the run's directory where its study is stored, and in the store where the run is; passwords are
    not kept.

    Raises:
        UserError: the directory cannot be written.
    """
    run = RunFile(
        name=job.file.name,
        storage=job.places.storage,
        study_file=job.places.study_file,
        store=job.places.store,
        own=job.file.storage is None,
        of=job.of,
        profile=job.profile_text,
    )
    with writing(job.places.run_dir):
        write_run_file(job.places.run_dir, run)
    remember_run(job.places.store, job.places.run_dir)


def keep_run_file_of(job: Job) -> None:
    """The same, where the run's directory has no such file: a study that has ended may have been run on
    another machine.

    Raises:
        UserError: the directory cannot be written.
    """
    if not (job.places.run_dir / RUN_FILE).is_file():
        with writing(job.places.run_dir):
            make_folder(job.places.run_dir)
        write_run_file_of(job)


def stored_study(run_dir: Path) -> tuple[StorageUrl, str]:
    """Storage and name of the study of a run's directory. A password comes from the study file, if that still
    names the same storage; otherwise the driver looks for one. A file that has moved with the study file is
    found by that.

    Raises:
        UserError: there is no run there, or its file cannot be read.
    """
    run = read_run_file(run_dir)
    if run.own or not run.study_file.is_file():
        return run.storage, run.name
    try:
        written = places_of(load_study_file(run.study_file), run.study_file).storage
    except UserError:  # it says something else by now, which is not asked for here
        return run.storage, run.name
    gone = run.storage.file is not None and not run.storage.file.exists()  # moved with the study file
    return (written if gone or written.kept == run.storage.kept else run.storage), run.name


def record_of(url: StorageUrl, name: str) -> StudyRecord:
    """The record of a study.

    Raises:
        UserError: there is none, or it cannot be read.
    """
    file = url.file
    with storage_trouble_explained(url), ExitStack() as stack:
        if file is not None and write_ahead.in_use(file) and not write_ahead.writable(file):
            return stack.enter_context(study_for_reading(url, name)).record()
        return stack.enter_context(closing(StudyStore.load(url, name))).record()


def open_run(path: Path) -> tuple[StudyRecord, Path]:
    """The record of a finished or interrupted run, and its directory; `path` is that or the study file.

    Raises:
        UserError: there is no run there, or it has no results yet.
    """
    if is_file(path):
        file = load_study_file(path)
        places = places_of(file, path)
        if not (places.run_dir / RUN_FILE).is_file():
            raise UserError(
                f"the study {file.name!r} was not run yet", place=str(path), remedy=f"paretune run {path}"
            )
        return record_of(places.storage, file.name), places.run_dir
    url, name = stored_study(path)
    return record_of(url, name), path
