"""Workers in simulated time: tasks run beside each other, step by step, in the order of their ends."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from dataclasses import dataclass
from typing import Any

from paretune.profiles.errors import InternalError
from paretune.search.record.protocols import Hardware, Judge
from paretune.search.record.stops import INTERRUPTED
from paretune.search.record.workers import WorkerResult, WorkerTask

from benchmarks.simulation.evaluator import TableEvaluator
from benchmarks.simulation.steps import Step, Steps


@dataclass
class _Job:
    task: WorkerTask
    steps: Steps[Any]
    worker: str
    began: float
    waited: float = 0.0
    since: float = 0.0
    """When it began to wait."""
    has_device: bool = False


class SimulatedWorkers:
    """See `Workers`. So many `devices` are there for measuring and scoring, each for one at a time, whoever
    comes first."""

    def __init__(self, evaluator: TableEvaluator, count: int, devices: int | None = None) -> None:
        self.evaluator, self._devices = evaluator, devices or count
        self._idle = deque(f"worker {number}" for number in range(count))
        self.count = count
        self._tasks: deque[tuple[WorkerTask, Judge]] = deque()
        self._running: dict[int, _Job] = {}
        self._events: list[tuple[float, int, _Job]] = []
        self._order = itertools.count()
        self._for_device: deque[tuple[_Job, Step]] = deque()
        self._blocked: list[_Job] = []
        self._ended: deque[WorkerResult] = deque()
        self._now: float | None = None

    def now(self) -> float:
        """Simulated seconds since the start: a `budget.Clock`. Before the first task the driver worked."""
        return self.evaluator.now() if self._now is None else self._now

    def submit(self, task: WorkerTask, judge: Judge) -> None:
        self._now = self.now()
        self._tasks.append((task, judge))

    def wait(self, judge: Judge) -> WorkerResult | None:
        while True:
            while self._tasks and self._idle:
                self._begin(*self._tasks.popleft())
            if self._ended:
                return self._ended.popleft()
            self._pass()
            if not self._ended:  # a milestone may have been reached
                return None

    def stop(self, *, urgent: bool) -> None:
        for job in self._running.values():
            job.steps.close()
            self._ended.append(self._result(job, stopped=INTERRUPTED))
        self._ended.extend(WorkerResult(task=task, stopped=INTERRUPTED) for task, _ in self._tasks)
        self.close()

    def close(self) -> None:
        self._running.clear()
        for left in (self._tasks, self._events, self._for_device, self._blocked):
            left.clear()

    # -- inside --------------------------------------------------------------------------------------

    def _begin(self, task: WorkerTask, judge: Judge) -> None:
        steps: Steps[Any] = (
            self.evaluator.measuring(task.candidate)
            if task.measure
            else self.evaluator.evaluating(task.candidate, judge, baseline=task.baseline)
        )
        job = _Job(task=task, steps=steps, worker=self._idle.popleft(), began=self.now())
        self._running[task.number] = job
        self._go_on(job)

    def _go_on(self, job: _Job) -> None:
        """The next step of a task, or its end."""
        try:
            step = next(job.steps)
        except StopIteration as end:
            del self._running[job.task.number]
            self._idle.append(job.worker)
            made = {"hardware" if isinstance(end.value, Hardware) else "evaluation": end.value}
            self._ended.append(self._result(job, **made))
            return
        job.since = self.now()
        if step.after:
            self._blocked.append(job)
        elif step.on_device:
            self._for_device.append((job, step))
            self._lease()
        else:
            self._take(job, step)

    def _lease(self) -> None:
        while self._devices and self._for_device:
            job, step = self._for_device.popleft()
            self._devices -= 1
            job.has_device = True
            self._take(job, step)

    def _take(self, job: _Job, step: Step) -> None:
        job.waited += self.now() - job.since
        heapq.heappush(self._events, (self.now() + step.seconds, next(self._order), job))

    def _pass(self) -> None:
        """Let time pass until the next step has ended."""
        if not self._events:
            raise InternalError("simulated workers wait, and nothing is under way")
        self._now, _, job = heapq.heappop(self._events)
        if job.has_device:
            job.has_device = False
            self._devices += 1
            self._lease()
        blocked, self._blocked = self._blocked, []
        for other in blocked:
            other.waited += self._now - other.since
        for other in (job, *blocked):
            self._go_on(other)

    def _result(self, job: _Job, **made: Any) -> WorkerResult:
        seconds = self.now() - job.began
        return WorkerResult(task=job.task, worker=job.worker, seconds=seconds, waited=job.waited, **made)
