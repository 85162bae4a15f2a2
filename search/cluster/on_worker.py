"""What runs in a worker's process, called by the engine."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Mapping
from typing import Any

from distributed import Worker, get_worker

from ...profiles.errors import ParetuneError
from ..driver.budget import StopFlag
from ..record.stops import Interrupted
from ..record.workers import WorkerResult
from . import asking
from .orders import Order, Unfit
from .work import UnfitError, WorkingStudy

_one_at_a_time = threading.Lock()
"""Training and user's code are made for one at a time in a process, however many threads a worker has."""
_study: list[WorkingStudy] = []
_stops: dict[str, StopFlag] = {}
_log = logging.getLogger(__name__)


def dask_setup(worker: Worker) -> None:
    """Called once where a worker starts: Ctrl-C in the driver's terminal is for the driver alone."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def work(order: Order) -> WorkerResult | Unfit:
    """Do a task."""
    with _one_at_a_time:
        worker = get_worker()
        name, topic = name_of(worker), topic_of(order.study.session)
        about = {"name": name, "address": worker.address}  # the engine adds a "worker" of its own

        def say(what: Mapping[str, Any]) -> None:
            worker.log_event(topic, {**about, **what})

        try:
            return _working_for(order, say, name).done(order)
        except UnfitError as error:
            return Unfit(worker=name, address=worker.address, differences=error.differences)
        except Interrupted as stopped:  # before it was ready
            return WorkerResult(task=order.task, worker=name, stopped=stopped.why)
        except ParetuneError as error:
            return WorkerResult(task=order.task, worker=name, error=error)


def name_of(worker: Worker) -> str:
    """How a worker is called: by its name, without one by its address; those started here have numbers."""
    return f"worker {worker.name}" if isinstance(worker.name, int) else str(worker.name).rpartition("//")[2]


def _working_for(order: Order, say: asking.Say, name: str) -> WorkingStudy:
    session = order.study.session
    if not _study or _study[0].session != session:
        leave()
        say({"stage": "getting ready"})
        _study.append(WorkingStudy(order.study, say, name, _flag(session)))
    return _study[0]


def _flag(session: str) -> StopFlag:
    """The stop of a session, which may come before a worker is ready for it."""
    for other in [known for known in _stops if known != session]:
        del _stops[other]
    return _stops.setdefault(session, StopFlag())


def stop(session: str, count: int) -> None:
    """A stop was asked for so many times."""
    flag = _stops.setdefault(session, StopFlag())
    flag.count = max(flag.count, count)


def answer(question: str, said: bytes) -> None:
    """The driver answers a question."""
    asking.answered(question, said)


def leave(session: str = "") -> None:
    """Nothing more is done for a session (empty: whichever is at hand)."""
    while _study and session in ("", _study[0].session):
        try:
            _study.pop().close()
        except Exception:
            _log.exception("a study's processes did not end well")


def topic_of(session: str) -> str:
    """Under which a session's workers tell what they do."""
    return f"paretune {session}"
