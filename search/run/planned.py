"""What a study would search and what for, without running it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from ..evaluation.side_effects import check_possible
from ..job.job import Job, load_job
from ..record.metrics import SIDE_EFFECTS
from ..record.progress import Progress
from ..stages.models.load import check_data, load_models
from ..store.store import Store
from .memory_limits import as_known


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A job, its space without what the model's structure does not allow, and the task that its models are
    for, with what that was read from."""

    job: Job
    task: str
    because: str


def planned(path: Path, profile_name: str | None = None) -> Planned:
    """What a study file leads to. The teacher is built for it, untrained; an ONNX model runs on a few
    samples. Nothing is kept.

    Raises:
        UserError: anything in the file, the workload or its data cannot be accepted.
    """
    job = as_known(load_job(path, profile_name))
    check_data(job.loaded)
    with tempfile.TemporaryDirectory() as nowhere:
        models = load_models(job.loaded, Store(Path(nowhere)), Progress(), job.file.training.threads)
        task = models.expected_task()
        check_possible({limit.metric for limit in job.limits} & set(SIDE_EFFECTS), task)
        job = replace(job, space=models.possible(job.space, job.file.deploy.setting.batch).space)
    return Planned(job=job, task=task.name, because=task.because)
