"""What a study tries of how its finalists are deployed, as its file asks for it and its device allows it."""

from __future__ import annotations

from ..evaluation.options_effort import Asked
from ..job.job import Job
from ..job.reached import Reached


def options_of(job: Job, reached: Reached) -> Asked | None:
    """None where the file asks for nothing beside the setting at which the study searches."""
    if not job.file.deploy.tries:
        return None
    state = reached.looked.state
    axes = job.axes(state.quota.cores if state is not None and state.quota is not None else 0.0)
    return Asked(axes=axes.of, batches=axes.batches, left_out=axes.left_out)
