"""What a study would search, without running it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..job.job import Job, load_job
from ..space.possible import needs_trying
from ..stages.models.load import check_data


def planned_job(path: Path, profile_name: str | None = None) -> Job:
    """The job of a study file, its space without what the model's structure does not allow. For that the
    teacher is built, untrained, where the space cuts it down. Writes nothing.

    Raises:
        UserError: anything in the file, the workload or its data cannot be accepted.
    """
    job = load_job(path, profile_name)
    if not needs_trying(job.space, derived=job.loaded.workload.student is None):
        return job
    check_data(job.loaded)
    from ..stages.models.networks import Networks  # torch takes seconds to load
    from ..stages.models.possible import possible_space

    networks = Networks(job.loaded, job.file.training.threads)
    return replace(job, space=possible_space(job.space, networks).space)
