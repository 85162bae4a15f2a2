"""Workers by Dask distributed: tasks go to processes of its cluster, and what they ask is answered here."""

from __future__ import annotations

import pickle
import queue
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any

from distributed import Client, Future
from distributed.scheduler import KilledWorker

from ...profiles.errors import UserError
from ...profiles.words import duration, listed
from ..record.evaluation import Evaluation, Outcome
from ..record.progress import Progress
from ..record.protocols import Judge
from ..record.stops import INTERRUPTED
from ..record.workers import WorkerResult, WorkerTask
from . import on_worker
from .line import SchedulerLine
from .orders import Order, StudyOrder, Unfit

WAKE_S, FRESH_S = 0.5, 2.0
"""How often somebody who waits looks up; how long it is taken to be known which workers there are."""
NONE_LEFT_S, HEAD_S = 120.0, 600.0
"""So long a study waits for a first worker, and for one to come back; and for the scheduler."""
Left = Callable[[], tuple[float | None, float]]
"""Seconds that are left for a task (None: no end), and how many of them follow a training."""


@dataclass(frozen=True, kw_only=True)
class _HandedOut:
    """An order that a worker has, by its future (None: the line was lost); `meant` is a worker's address."""

    order: Order
    future: Future | None = None
    meant: str = ""


class DaskWorkers:
    """See `Workers`. Each process of the cluster that is fit for the study has one task at a time.

    A worker that is lost has its task done by another one; so has a scheduler that is lost all of them, once
    it is back: what their stages had finished is in the store.
    """

    def __init__(self, client: Client, study: StudyOrder, left: Left, progress: Progress) -> None:
        self._study, self._left, self._progress = study, left, progress
        self._happened: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._line = SchedulerLine(client, on_worker.topic_of(study.session), self._happened.put)
        self._out: dict[int, _HandedOut] = {}
        self._unfit: dict[str, Unfit] = {}
        self._there: tuple[str, ...] = ()
        self._looked, self._seen, self._stops = -float("inf"), time.monotonic(), 0
        self._lost_at: float | None = None

    # -- the protocol ---------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """See `Workers`."""
        return len(self._fit())

    def submit(self, task: WorkerTask, judge: Judge) -> None:
        """See `Workers`."""
        left, rest = self._left()
        self._hand_out(
            Order(study=self._study, task=task, standard=judge.standard, seconds_left=left, rest=rest)
        )

    def wait(self, judge: Judge) -> WorkerResult | None:
        """See `Workers`."""
        until = time.monotonic() + WAKE_S  # however much workers tell, who waits looks up
        while True:
            try:
                event = self._happened.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return self._look()
            if isinstance(event, Future):
                result = self._ended(event)
                if result is not None:
                    return result
            elif "question" in event:
                self._answer(event, judge)
            else:
                self._tell(event)

    def stop(self, *, urgent: bool) -> None:
        """See `Workers`."""
        wanted = 2 if urgent else 1
        if wanted > self._stops:
            self._stops = wanted
            session = self._study.session
            self._line.ask(lambda c: c.run(on_worker.stop, session, wanted, on_error="ignore"), None)

    def close(self) -> None:
        """See `Workers`."""
        given_up = [one.future for one in self._out.values() if one.future is not None]
        self._line.ask(lambda client: client.cancel(given_up, force=True), None)
        self._out.clear()
        self._line.ask(lambda c: c.run(on_worker.leave, self._study.session, on_error="ignore"), None)
        self._line.close()

    # -- handing out ----------------------------------------------------------------------------------

    def _fit(self) -> tuple[str, ...]:
        """Addresses of the workers that are there and, as far as is known, fit."""
        if time.monotonic() - self._looked > FRESH_S:
            self._there = self._line.ask(lambda client: tuple(client.nthreads()), ())
            self._looked = time.monotonic()
        found = tuple(address for address in self._there if address not in self._unfit)
        if found:
            self._seen = time.monotonic()
        return found

    def _hand_out(self, order: Order) -> None:
        number, taken = order.task.number, {one.meant for one in self._out.values()}
        # Meant for an idle worker; another one has it, should that one be lost.
        fit = self._fit()
        meant = next((address for address in fit if address not in taken), "")
        key = f"paretune-{self._study.session}-{number}-{time.monotonic_ns()}"
        # Without a fit one it waits: any other would only say again what it lacks.
        future = self._line.submit(on_worker.work, order, key, meant) if fit else None
        self._out[number] = _HandedOut(order=order, future=future, meant=meant)
        if future is not None:
            future.add_done_callback(self._happened.put)

    # -- what happens ---------------------------------------------------------------------------------

    def _ended(self, future: Future) -> WorkerResult | None:
        """What came of a task; None where it is to be done once more."""
        one = next((one for one in self._out.values() if one.future is future), None)
        if one is None:
            return None
        del self._out[one.order.task.number]
        try:
            found = future.result()
        except KilledWorker as killed:
            return _given_up(one.order.task, str(killed))
        except (CancelledError, OSError, RuntimeError) as error:
            if self._line.look() and not isinstance(error, CancelledError):
                raise
            # The line to the scheduler is lost, or was.
            self._out[one.order.task.number] = _HandedOut(order=one.order)
            return None
        if isinstance(found, Unfit):
            self._leave_out(found)
            self._hand_out(one.order)
            return None
        result: WorkerResult = found
        return result

    def _leave_out(self, unfit: Unfit) -> None:
        """By its own address: the task may have gone to another one than it was meant for."""
        self._unfit[unfit.address] = unfit
        shown = listed(unfit.differences)
        self._progress.note(f"{unfit.worker} is left out, it differs: {shown}")

    def _answer(self, event: dict[str, Any], judge: Judge) -> None:
        what, given = pickle.loads(event["asked"])  # noqa: S301 - of our own worker
        asked = getattr(judge, what)
        said = pickle.dumps(asked(*given) if callable(asked) else asked)
        question, address = event["question"], [event["address"]]
        self._line.ask(
            lambda c: c.run(on_worker.answer, question, said, workers=address, on_error="ignore"), None
        )

    def _tell(self, event: dict[str, Any]) -> None:
        if "note" in event:
            self._progress.note(f"{event['name']}: {event['note']}")
        else:
            self._progress.at_work(event["name"], event.get("task"), event["stage"])

    # -- the line -------------------------------------------------------------------------------------

    def _look(self) -> WorkerResult | None:
        """Nothing has happened for a moment: see to the line and the workers."""
        if self._line.look():
            self._check_left()
            return self._repeated()
        now = time.monotonic()
        if self._lost_at is None:
            self._lost_at = now
            self._progress.note(f"the scheduler at {self._line.address} does not answer: waiting for it")
        if self._stops:
            return self._stopped()
        if now - self._lost_at > HEAD_S:
            raise UserError(
                "the scheduler of the cluster has not come back",
                place="cluster",
                found=f"{self._line.address}, silent for {duration(now - self._lost_at)}",
                remedy="start it and its workers, and run again: what was told and finished is kept",
            )
        if self._line.again():
            self._lost_at, self._looked, self._seen = None, -float("inf"), now
            self._progress.note("the scheduler is back: what workers were at goes on from what they finished")
        return None

    def _repeated(self) -> WorkerResult | None:
        """Hand out once more what was lost with the line."""
        if self._stops:
            return self._stopped()
        for one in [one for one in self._out.values() if one.future is None]:
            if self._fit():
                self._hand_out(one.order)
        return None

    def _stopped(self) -> WorkerResult | None:
        """A task that no worker has, where a stop was asked for."""
        one = next((one for one in self._out.values() if one.future is None), None)
        if one is None:
            return None
        del self._out[one.order.task.number]
        return WorkerResult(task=one.order.task, stopped=INTERRUPTED)

    def _check_left(self) -> None:
        """Raises:
        UserError: no fit worker was seen for a while.
        """
        if self._fit() or time.monotonic() - self._seen < NONE_LEFT_S:
            return
        named = [f"{one.worker}: {', '.join(one.differences)}" for one in self._unfit.values()]
        raise UserError(
            "no worker is fit for this study" if named else "no worker is there",
            place="workers",
            found="; ".join(named) or "none",
            accepted="workers with the versions, study file, data and store of the driver",
            remedy="start workers in the driver's environment, and run again: what was finished is kept",
        )


def _given_up(task: WorkerTask, why: str) -> WorkerResult:
    """Workers died in it, one after the other."""
    if task.measure:
        return WorkerResult(task=task)
    cause = "several workers ended, one after the other, while they were at it"
    failed = Outcome.FAILED
    evaluation = Evaluation(
        candidate=task.candidate, outcome=failed, baseline=task.baseline, stage="worker", cause=cause, log=why
    )
    return WorkerResult(task=task, evaluation=evaluation)
