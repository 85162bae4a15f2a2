"""Workers by Dask distributed: tasks go to processes of its cluster, and what they ask is answered here."""

from __future__ import annotations

import pickle
import queue
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from distributed import Client, Future
from distributed.scheduler import KilledWorker

from ...profiles.errors import UserError
from ...profiles.words import listed
from ..record.evaluation import Evaluation, Outcome
from ..record.progress import Progress
from ..record.protocols import Judge
from ..record.workers import Result, Task
from . import on_worker
from .orders import Order, StudyOrder, Unfit

WAKE_S, FRESH_S = 0.5, 2.0
"""How often somebody who waits looks up; how long it is taken to be known which workers there are."""
NONE_LEFT_S = 120.0
"""So long a study waits for a first worker, and for one to come back."""
Left = Callable[[], tuple[float | None, float]]
"""Seconds that are left for a task (None: no end), and how many of them follow a training."""


class DaskWorkers:
    """See `Workers`. Each process of the cluster that is fit for the study has one task at a time."""

    def __init__(self, client: Client, study: StudyOrder, left: Left, progress: Progress) -> None:
        self._client, self._study, self._left, self._progress = client, study, left, progress
        self._happened: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._futures: dict[int, Future] = {}
        self._orders: dict[int, Order] = {}
        self._places: dict[int, str] = {}  # the worker's address that each task was meant for
        self._unfit: dict[str, Unfit] = {}
        self._there: tuple[str, ...] = ()
        self._looked, self._seen, self._stops = -float("inf"), time.monotonic(), 0
        client.subscribe_topic(on_worker.topic_of(study.session), lambda event: self._happened.put(event[1]))

    # -- the protocol ---------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """See `Workers`."""
        return len(self._fit())

    def submit(self, task: Task, judge: Judge) -> None:
        """See `Workers`."""
        left, rest = self._left()
        self._hand_out(
            Order(study=self._study, task=task, standard=judge.standard, seconds_left=left, rest=rest)
        )

    def wait(self, judge: Judge) -> Result | None:
        """See `Workers`."""
        while True:
            try:
                event = self._happened.get(timeout=WAKE_S)
            except queue.Empty:
                self._check_left()
                return None
            if isinstance(event, int):
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
            self._client.run(on_worker.stop, self._study.session, wanted, on_error="ignore")

    def close(self) -> None:
        """See `Workers`."""
        for future in self._futures.values():
            with suppress(Exception):
                future.cancel()
        self._futures.clear()
        with suppress(Exception):  # one that is gone needs not be left
            self._client.run(on_worker.leave, on_error="ignore")
        with suppress(Exception):
            self._client.close()

    # -- handing out ----------------------------------------------------------------------------------

    def _fit(self) -> tuple[str, ...]:
        """Addresses of the workers that are there and, as far as is known, fit."""
        if time.monotonic() - self._looked > FRESH_S:
            self._there, self._looked = tuple(self._client.nthreads()), time.monotonic()
        found = tuple(address for address in self._there if address not in self._unfit)
        if found:
            self._seen = time.monotonic()
        return found

    def _hand_out(self, order: Order) -> None:
        number, fit = order.task.number, self._fit()
        taken = set(self._places.values())
        # Meant for an idle worker; another may have it, should that one be lost.
        meant = next((address for address in fit if address not in taken), None)
        future = self._client.submit(
            on_worker.work,
            order,
            key=f"paretune-{self._study.session}-{number}-{time.monotonic_ns()}",
            workers=[meant] if meant else None,
            allow_other_workers=True,
            pure=False,
        )
        self._orders[number], self._futures[number] = order, future
        self._places[number] = meant or ""
        future.add_done_callback(lambda _: self._happened.put(number))

    # -- what happens ---------------------------------------------------------------------------------

    def _ended(self, number: int) -> Result | None:
        """What came of a task; None where it has to be done once more."""
        future, order = self._futures.pop(number, None), self._orders[number]
        if future is None:
            return None
        meant = self._places.pop(number)
        try:
            found = future.result()
        except KilledWorker as killed:
            return self._given_up(order.task, str(killed))
        if isinstance(found, Unfit):
            self._leave_out(meant, found)
            self._hand_out(order)
            return None
        result: Result = found
        return result

    def _given_up(self, task: Task, why: str) -> Result:
        """Workers died in it again and again."""
        cause = "several workers ended, one after the other, while they were at it"
        if task.measure:
            return Result(task=task)
        evaluation = Evaluation(
            candidate=task.candidate,
            outcome=Outcome.FAILED,
            baseline=task.baseline,
            stage="worker",
            cause=cause,
            log=why,
        )
        return Result(task=task, evaluation=evaluation)

    def _leave_out(self, address: str, unfit: Unfit) -> None:
        self._unfit[address] = unfit
        shown = listed(list(unfit.differences))
        self._progress.note(f"{unfit.worker} is left out, it differs: {shown}")

    def _answer(self, event: dict[str, Any], judge: Judge) -> None:
        what, given = pickle.loads(event["asked"])  # noqa: S301 - of our own worker
        asked = getattr(judge, what)
        said = pickle.dumps(asked(*given) if callable(asked) else asked)
        with suppress(Exception):  # a worker that is lost by now asks nothing any more
            self._client.run(on_worker.answer, event["question"], said, workers=[event["address"]])

    def _tell(self, event: dict[str, Any]) -> None:
        if "note" in event:
            self._progress.note(f"{event['name']}: {event['note']}")
        else:
            self._progress.at_work(event["name"], event.get("task"), event["stage"])

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
            found=listed(named) or "none",
            accepted="workers with the same versions, study file, data and store as the driver",
            remedy="start workers with the driver's environment, and run again: what was finished is kept",
        )
