"""Workers by Dask distributed: tasks go to processes of its cluster, and what they ask is answered here."""

from __future__ import annotations

import pickle
import queue
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from concurrent.futures import Future as Asked
from concurrent.futures import TimeoutError as NotInTime  # before Python 3.11 another one
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from distributed import Client, Future
from distributed.scheduler import KilledWorker

from ...profiles.errors import UserError
from ...profiles.words import duration
from ..record.progress import Progress
from ..record.protocols import Judge
from ..record.stops import INTERRUPTED, DeviceGoneError
from ..record.workers import WorkerResult, Workers, WorkerTask
from . import on_worker
from .asking import LEFT
from .handed_out import MOST_LOST, HandedOut, given_up
from .line import SchedulerLine
from .orders import Order, StudyOrder, Unfit
from .present import Present

WAKE_S, RESULT_S = 0.5, 10.0
"""How often somebody who waits looks up, and how long a result takes to come here at the most."""
HEAD_S, END_S = 600.0, 5.0
"""So long a study waits for the scheduler, and in the end for workers to hear of it."""
BEGIN_S = 60.0
"""What a worker has not begun by then, since it is at another study's, say, is taken back for an idle one."""
Left = Callable[[], tuple[float | None, float]]
"""Seconds that are left for a task (None: no end), and how many of them follow a training."""


class DaskWorkers(Workers):
    """See `Workers`. Each process of the cluster that is fit for the study has one task at a time.

    A worker that is lost has its task done by another one, as soon as one is idle; so has a scheduler that is
    lost all of them, once it is back: what their stages had finished is in the store.
    """

    def __init__(self, client: Client, study: StudyOrder, left: Left, progress: Progress) -> None:
        self._study, self._left, self._progress = study, left, progress
        self._happened: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._line = SchedulerLine(client, on_worker.topic_of(study.session), self._happened.put)
        self._present = Present(self._line, progress)
        self._out: dict[int, HandedOut] = {}
        self._readying: list[Future | None] = []  # one that nobody holds is given up
        self._stops = 0
        self._lost_at: float | None = None

    def make_ready(self) -> None:
        """Have the workers that are there make themselves ready before a first task comes."""
        there: tuple[str, ...] = self._line.ask(lambda client: tuple(client.nthreads()), ())
        for address in there:
            key = f"paretune-{self._study.session}-ready-{address}"
            self._readying.append(self._line.submit(on_worker.get_ready, self._study, key, address))

    # -- the protocol ---------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """See `Workers`."""
        return len(self._present.fit())

    def submit(self, task: WorkerTask, judge: Judge) -> None:
        """See `Workers`."""
        self._hand_out(HandedOut(task=task, standard=judge.standard))

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
            self._stop(wanted)

    def _stop(self, count: int, workers: list[str] | None = None) -> Asked[Any] | None:
        told = {"workers": workers, "on_error": "ignore"}
        return self._line.tell(lambda c: c.run(on_worker.stop, self._study.session, count, **told))

    def close(self) -> None:
        """See `Workers`. A task at hand ends with its stage, or within a training with its epoch."""
        session, out = self._study.session, [one.future for one in self._out.values()]
        given_up = [*filter(None, (*out, *self._readying))]
        self._out.clear()
        told = [self._stop(2), self._line.tell(lambda c: c.run(on_worker.leave, session, on_error="ignore"))]
        self._line.ask(lambda client: client.cancel(given_up, force=True), None)
        for one in filter(None, told):
            with suppress(Exception):  # one that does not answer keeps nobody else
                one.result(END_S)
        self._line.close()

    # -- handing out ----------------------------------------------------------------------------------

    def _idle(self, wanted: HandedOut) -> str:
        """The address of a worker for a task that has none: of several not the one that had it last, and
        rather one that cannot do others. An empty text where there is none."""
        busy = {one.worker for one in self._out.values() if one.future is not None}
        idle = [address for address in self._present.reaching(wanted.task.device) if address not in busy]
        lacking = self._present.ways_lacking
        return min(idle, key=lambda one: (one == wanted.worker, -lacking(one)), default="")

    def _hand_out(self, one: HandedOut) -> None:
        number, worker = one.task.number, self._idle(one)
        future = None
        if worker:
            left, rest = self._left()
            order = Order(
                study=self._study,
                task=one.task,
                standard=one.standard,
                seconds_left=left,
                rest=rest,
                stops=self._stops,
            )
            key = f"paretune-{self._study.session}-{number}-{time.monotonic_ns()}"
            future = self._line.submit(on_worker.work, order, key, worker)
        given = replace(one, future=future, worker=worker or one.worker, at=time.monotonic())
        self._out[number] = replace(given, begun=False, ready=False)
        if future is not None:
            future.add_done_callback(self._happened.put)

    # -- what happens ---------------------------------------------------------------------------------

    def _ended(self, future: Future) -> WorkerResult | None:
        """What came of a task; None where it is to be done once more."""
        one = next((one for one in self._out.values() if one.future is future), None)
        if one is None:
            return None
        try:
            found = future.result(timeout=RESULT_S)
        except (CancelledError, KilledWorker, TimeoutError, NotInTime):
            if self._line.look() and not future.cancelled():
                return self._lost(one)
            self._wait_for_one(one)  # the line is lost, or was
            return None
        except Exception as error:  # before the task began, since what comes of it is a value
            if not self._line.look():
                self._wait_for_one(one)
                return None
            cause = error.__cause__ or error
            why = f"the study's tasks cannot be loaded there: {type(cause).__name__}: {cause}"
            name = self._present.name(one.worker)
            found = Unfit(worker=name, address=one.worker, differences=(why,))
        if isinstance(found, Unfit):
            return self._befallen(one, found)
        result: WorkerResult = found
        gone = isinstance(result.error, DeviceGoneError)
        if gone and self._present.alone_without(one.worker, one.task.device):
            self._progress.at_work(result.worker, None, "")
            self._wait_for_one(one)
            return self._given_out()
        del self._out[one.task.number]
        return result

    def _befallen(self, one: HandedOut, unfit: Unfit) -> WorkerResult | None:
        """A worker cannot do a task: another one is to. What befalls the second alike, or the last one there
        is, is no matter of workers, and comes back."""
        self._present.leave_out(unfit)
        error, before = unfit.error, one.error
        if error is not None and (str(error) == str(before) or not self._present.fit()):
            del self._out[one.task.number]
            return WorkerResult(task=one.task, worker=unfit.worker, error=error)
        self._wait_for_one(replace(one, error=error))
        return self._given_out()

    def _wait_for_one(self, one: HandedOut) -> None:
        if one.future is not None and not one.future.done():
            self._line.tell(partial(Client.cancel, futures=[one.future], force=True))
        self._out[one.task.number] = replace(one, future=None)

    def _lost(self, one: HandedOut) -> WorkerResult | None:
        """The worker that was at a task has ended: what comes of it, None where another one is to do it."""
        if not one.begun or self._line.was_meant_to_end(one.worker):
            self._wait_for_one(one)
            return None
        if one.lost + 1 < MOST_LOST:
            self._wait_for_one(replace(one, lost=one.lost + 1))
            return None
        del self._out[one.task.number]
        return given_up(one.task, self._present.name(one.worker), time.monotonic() - one.at)

    def _answer(self, event: dict[str, Any], judge: Judge) -> None:
        what, given = pickle.loads(event["asked"])  # noqa: S301 - of our own worker
        asked = self._left if what == LEFT else getattr(judge, what)
        said = pickle.dumps(asked(*given) if callable(asked) else asked)
        question, address = event["question"], [event["address"]]
        self._line.tell(lambda c: c.run(on_worker.answer, question, said, workers=address, on_error="ignore"))

    def _tell(self, event: dict[str, Any]) -> None:
        self._present.told(event["address"], event["name"])
        number = event.get("begun", event.get("ready"))
        one = self._out.get(number) if number is not None else None
        if one is not None and one.worker == event["address"]:
            self._out[one.task.number] = replace(one, begun=True, ready="ready" in event)
        if "note" in event:
            self._progress.note(f"{event['name']}: {event['note']}")
        elif number is None:
            self._progress.at_work(event["name"], event.get("task"), event["stage"])

    # -- the line -------------------------------------------------------------------------------------

    def _look(self) -> WorkerResult | None:
        """Nothing has happened for a moment: see to the line and the workers."""
        if self._line.look():
            self._present.fit()
            gone = self._gone()
            if gone is not None:
                return gone
            result = self._given_out()
            if result is None:
                self._present.check()
            return result
        now = time.monotonic()
        if self._lost_at is None:
            self._lost_at = now
            self._progress.note(f"the scheduler at {self._line.address} does not answer: waiting for it")
        for one in list(self._out.values()):
            self._wait_for_one(one)
        if self._ends:
            return self._stopped()
        if now - self._lost_at > HEAD_S:
            raise UserError(
                "the scheduler of the cluster has not come back",
                place="cluster",
                found=f"{self._line.address}, silent for {duration(now - self._lost_at)}",
                remedy="start it and its workers, and run again: what was told and finished is kept",
            )
        if self._line.again():
            self._lost_at = None
            self._present.anew()
            self._progress.note("the scheduler is back: what workers were at goes on from what they finished")
        return None

    def _gone(self) -> WorkerResult | None:
        """See to tasks whose workers are there no more, and to those that were not begun for long."""
        for one in list(self._out.values()):
            if one.future is None or one.future.done():
                continue
            if one.worker not in self._present.there:
                result = self._lost(one)
                if result is not None:
                    return result
            elif (not one.ready and self._ends) or (not one.begun and self._lies(one)):
                if one.begun:  # for nothing
                    self._stop(2, [one.worker])
                self._wait_for_one(one)
        return None

    def _lies(self, one: HandedOut) -> bool:
        """Whether a task waits at a worker while another one is idle."""
        return time.monotonic() - one.at > BEGIN_S and bool(self._idle(one))

    def _given_out(self) -> WorkerResult | None:
        """Have tasks that wait for a worker done, as far as one is idle; where the end has come, one of them
        is given back."""
        if self._ends:
            return self._stopped()
        for one in [one for one in self._out.values() if one.future is None]:
            self._hand_out(one)
        return None

    @property
    def _ends(self) -> bool:
        """Whether a stop was asked for, or no time is left."""
        left = self._left()[0]
        return self._stops > 0 or (left is not None and left <= 0)

    def _stopped(self) -> WorkerResult | None:
        """A task that no worker has, given back."""
        one = next((one for one in self._out.values() if one.future is None), None)
        if one is None:
            return None
        del self._out[one.task.number]
        return WorkerResult(task=one.task, stopped=INTERRUPTED)
