"""Waiting for others: for the lease of the study's device, which is shown, and in a training for whoever
measures on this machine. It is counted, and ends where the study has to."""

from __future__ import annotations

from ...backends.lease.quiet import Computing
from ...backends.runner.launch import Launch
from ...backends.runner.leased import DeviceLease
from ...profiles.words import duration
from ..driver.budget import Budget
from ..job.job import Job
from ..record.progress import Progress
from ..record.stops import Interrupted

_NOTED_S = 5.0
"""A wait that is as long is worth a line that stays."""


def lease_for(job: Job, launch: Launch, progress: Progress, budget: Budget) -> DeviceLease:
    """A lease for a study that is run within a budget. Waiting counts as time, and as nobody's cost."""
    shown = _Shown(progress, budget)
    return DeviceLease(
        launch,
        guard=job.guard,
        study=job.file.name,
        tell=shown.waits,
        note=progress.note,
        waited=shown.waited,
        meanwhile=budget.checkpoint,
    )


def giving_way(budget: Budget) -> Computing:
    """For steps of trainings, none of which begins while somebody measures on this machine."""

    def meanwhile() -> None:
        if budget.stop.urgent or budget.out_of_time:
            raise Interrupted("a training stopped while this machine was measured on")

    def waited(seconds: float) -> None:
        budget.waited += seconds

    return Computing(meanwhile=meanwhile, waited=waited)


class _Shown:
    def __init__(self, progress: Progress, budget: Budget) -> None:
        self._progress, self._budget, self._noted = progress, budget, ""

    def waits(self, text: str, seconds: float) -> None:
        self._progress.stage(f"{text}, for {duration(seconds)} now")
        if seconds >= _NOTED_S and text != self._noted:
            self._progress.note(text)
            self._noted = text

    def waited(self, seconds: float) -> None:
        self._budget.waited += seconds
