"""A study of a pool whose device went away in its middle: it goes on by itself, on those that answer."""

from __future__ import annotations

from collections.abc import Callable

from ...backends.runner.trouble import UnreachableError
from ..driver.budget import StopFlag
from ..job.job import Job
from ..record.progress import Progress
from ..record.stops import ENDS_EARLY
from .session_end import SessionEnd


def while_devices_answer(
    job: Job, run: Callable[[], SessionEnd], progress: Progress | None, stop: StopFlag | None
) -> SessionEnd:
    """Where a session ends what was finished is kept, so that the next one goes on from there. There is one
    for each device of the pool at most, and none where no device answers or a stop was asked for."""
    end = run()
    for _ in job.profile.pool[1:]:
        if end.gone is None or (stop is not None and stop.requested):
            break
        if progress is not None:
            why = end.gone.problem.removeprefix(ENDS_EARLY)
            progress.note(f"{why}; the study goes on if another device of the pool answers")
        try:
            end = run()
        except UnreachableError:
            break
    return end
