"""What a study tries of how its finalists are deployed, as its file asks for it and its device allows it."""

from __future__ import annotations

from ..evaluation.options_effort import OptionsAsked
from ..job.job import Job
from ..job.reached import Reached


def options_of(job: Job, reached: Reached) -> OptionsAsked | None:
    """None where the file asks for nothing beside the setting at which the study searches, or there is no
    device to try it on."""
    if not job.file.deploy.tries or job.estimate is not None:
        return None
    state = reached.looked.state
    axes = job.axes(state.quota.cores if state is not None and state.quota is not None else 0.0)
    return OptionsAsked(axes=axes.of, batches=axes.batches, left_out=axes.left_out)
