"""A study held while it is run: nobody else runs it, and nobody removes what it needs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..job.job import Job
from ..storage.driver_lock import DriverLock, only_driver
from ..storage.storage import only_one_run, storage_trouble_explained
from ..store.users import working


@contextmanager
def alone(job: Job) -> Iterator[DriverLock | None]:
    """Nobody else runs the study, in this directory or anywhere; its store knows that it is at work. The lock
    is that of a study on a server.

    Raises:
        UserError: another process runs it, its directory cannot be written, or its storage fails.
    """
    places = job.places
    with (
        only_one_run(places.run_dir),
        working(places.store, places.run_dir),
        storage_trouble_explained(places.storage),
        only_driver(places.storage, job.file.name) as lock,
    ):
        yield lock
