"""A task on its way, and what comes of one at which workers ended."""

from __future__ import annotations

from dataclasses import dataclass, replace

from distributed import Future

from ...profiles.errors import ParetuneError
from ..record.evaluation import Evaluation, Outcome
from ..record.protocols import Standard
from ..record.workers import WorkerResult, WorkerTask

MOST_LOST = 3
"""A task at which so many workers ended, one after the other, is given up."""


@dataclass(frozen=True, kw_only=True)
class HandedOut:
    """A task, by its future and the address of the worker that has it since `at` (without: it waits for one,
    another than the one that had it last where there is a choice).

    It has `begun`, for which the worker may have to make itself `ready` first; so many workers were `lost` at
    it; `error` befell the last one.
    """

    task: WorkerTask
    standard: Standard
    future: Future | None = None
    worker: str = ""
    at: float = 0.0
    begun: bool = False
    ready: bool = False
    lost: int = 0
    error: ParetuneError | None = None


def given_up(task: WorkerTask, worker: str, seconds: float) -> WorkerResult:
    """Workers ended in it, one after the other, the last one after so long: it is tried once more in another
    session."""
    found = WorkerResult(task=task, worker=worker, seconds=seconds)
    if task.measure:
        return found
    evaluation = Evaluation(
        candidate=task.candidate,
        outcome=Outcome.FAILED,
        baseline=task.baseline,
        stage="worker",
        cause=f"{MOST_LOST} workers ended, one after the other, while they were at it",
        try_again=True,
    )
    return replace(found, evaluation=evaluation)
