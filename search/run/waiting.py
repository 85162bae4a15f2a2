"""Waiting for others: for the lease of the study's device, in a training for who measures on this machine,
and for whoever makes an entry of the store. It is counted, shown but for the last, and ends where the study
has to."""

from __future__ import annotations

from ...backends.lease.quiet import Computing
from ...backends.runner.launch import Launch
from ...backends.runner.leased import DeviceLease
from ...profiles.words import duration
from ..driver.budget import Budget
from ..job.job import Job
from ..record.progress import Progress
from ..record.stops import Interrupted
from ..stages.models.load import Control
from ..store.key_lock import Waited

_NOTED_S, _SHOWN_S = 5.0, 1.0
"""A wait that is as long is worth a line that stays; and one that is seen, which is renewed as often."""


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


def for_entries(budget: Budget) -> Waited:
    """For waits in which another process makes what is wanted of the store."""

    def waited(seconds: float) -> None:
        budget.waited += seconds
        budget.checkpoint()

    return waited


def training_control(budget: Budget, progress: Progress) -> Control:
    """How the trainings of a study are controlled: within its budget, and so that no step begins while
    somebody measures on this machine."""
    pause = _Pause(progress, budget)
    return Control(
        should_stop=lambda: budget.stop.urgent,
        out_of_time=lambda: budget.out_of_time,
        progress=progress.stage,
        note=progress.note,
        step=Computing(meanwhile=pause.lasts, waited=pause.over),
        clock=budget.worked,
    )


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


class _Pause:
    """A training that stands still (`began` by the budget's clock; None: it goes on), which is shown where it
    lasts: the next time at `due`."""

    def __init__(self, progress: Progress, budget: Budget) -> None:
        self._progress, self._budget = progress, budget
        self._began: float | None = None
        self._due, self._shown = 0.0, False

    def lasts(self) -> None:
        """Called again and again while it does."""
        if self._budget.stop.urgent or self._budget.out_of_time:
            raise Interrupted("a training stopped while this machine was measured on")
        now = self._budget.clock()
        if self._began is None:
            self._began, self._due = now, now + _SHOWN_S
        if now >= self._due:
            self._due, self._shown = now + _SHOWN_S, True
            lasted = duration(round(now - self._began))
            self._progress.stage(f"waiting for this machine: somebody measures on it, for {lasted} now")

    def over(self, seconds: float) -> None:
        """It goes on, or ends, after so many seconds."""
        self._budget.waited += seconds
        if self._shown:
            self._progress.stage("training goes on")
        self._began, self._shown = None, False
