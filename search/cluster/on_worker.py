"""What runs in a worker's process, called by the engine."""

from __future__ import annotations

import logging
import signal
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from distributed import Worker, get_worker

from ...profiles.errors import InternalError, ParetuneError, UserError
from ...profiles.guard.time_limit import TookTooLong, end_of_thread
from ..driver.budget import StopFlag
from ..record.stops import Interrupted
from ..record.workers import WorkerResult
from . import asking
from .orders import Order, StudyOrder, Unfit
from .work import UnfitError, WorkingStudy

IDLE_S = 600.0
"""After so long without a task a study's processes end: its driver may have been killed."""
_one_at_a_time = threading.Lock()
"""Training and user's code are made for one at a time in a process, however many threads a worker has."""
_study: list[WorkingStudy] = []
_stops: dict[str, StopFlag] = {}
_left: set[str] = set()
"""Sessions that are over while a task of theirs is at hand."""
_resting: list[threading.Timer] = []
_log = logging.getLogger(__name__)


def dask_setup(worker: Worker) -> None:
    """Called once where a worker starts: Ctrl-C in the driver's terminal, and its end, are for the driver
    alone."""
    if threading.current_thread() is threading.main_thread():
        for one in (signal.SIGINT, signal.SIGHUP):
            signal.signal(one, signal.SIG_IGN)


def work(order: Order) -> WorkerResult | Unfit:
    """Do a task. Whatever happens in it is a value: what is raised here was not even begun."""
    with _awake(order.study.session):
        return _worked(order)


def get_ready(study: StudyOrder) -> None:
    """Be ready for a study before its first task comes; what is in the way is told when it does."""
    with _awake(study.session), suppress(Exception):
        _working_for(study)


@contextmanager
def _awake(session: str) -> Iterator[None]:
    with _one_at_a_time:
        while _resting:
            _resting.pop().cancel()
        try:
            yield
        finally:
            end_of_thread()
            _rest()
    if session in _left:  # it was over meanwhile
        leave(session)


def _teller(session: str) -> asking.Say:
    """What this worker says goes to the session's driver."""
    worker, topic = get_worker(), topic_of(session)
    about = {"name": name_of(worker), "address": worker.address}  # the engine adds a "worker" of its own

    def say(what: Mapping[str, Any]) -> None:
        worker.log_event(topic, {**about, **what})

    return say


def _worked(order: Order) -> WorkerResult | Unfit:
    session, worker = order.study.session, get_worker()
    name = name_of(worker)

    def unfit(*found: str, passes: bool = True, error: ParetuneError | None = None) -> Unfit:
        return Unfit(worker=name, address=worker.address, differences=found, passes=passes, error=error)

    say, number = _teller(session), order.task.number
    say({"begun": number})
    stop(session, order.stops)
    try:
        study = _working_for(order.study)
        say({"ready": number})
        return study.done(order)
    except UnfitError as error:
        return unfit(*error.differences, passes=error.passes)
    except Interrupted as stopped:  # before it was ready
        return WorkerResult(task=order.task, worker=name, stopped=stopped.why)
    except InternalError as error:
        return WorkerResult(task=order.task, worker=name, error=error)
    except ParetuneError as error:  # here; others may do it all the same
        return unfit(str(error), error=error)
    except (OSError, MemoryError, TookTooLong) as error:
        found = str(error) or type(error).__name__
        return unfit(found, error=UserError("a worker's machine has failed", place=name, found=found))
    except Exception:
        broken = InternalError(f"{name}: {traceback.format_exc()}")
        return WorkerResult(task=order.task, worker=name, error=broken)


def name_of(worker: Worker) -> str:
    """How a worker is called: by its name, without one by its address; those started here have numbers."""
    return f"worker {worker.name}" if isinstance(worker.name, int) else str(worker.name).rpartition("//")[2]


def _working_for(study: StudyOrder) -> WorkingStudy:
    session = study.session
    if not _study or _study[0].session != session:
        _end("")
        say = _teller(session)
        say({"stage": "getting ready"})
        _study.append(WorkingStudy(study, say, name_of(get_worker()), _flag(session)))
    return _study[0]


def _flag(session: str) -> StopFlag:
    """The stop of a session, which may come before a worker is ready for it."""
    return _stops.setdefault(session, StopFlag())


def stop(session: str, count: int) -> None:
    """A stop was asked for so many times."""
    flag = _flag(session)
    flag.count = max(flag.count, count)


def answer(question: str, said: bytes) -> None:
    """The driver answers a question."""
    asking.answered(question, said)


def leave(session: str = "") -> None:
    """Nothing more is done for a session (empty: whichever is at hand); a task at hand ends before."""
    if session:
        _left.add(session)
    if not _one_at_a_time.acquire(blocking=False):
        return
    try:
        _end(session)
    finally:
        _one_at_a_time.release()


def _end(session: str) -> None:
    _left.discard(session)
    _stops.pop(session, None)
    while _study and session in ("", _study[0].session):
        try:
            _study.pop().close()
        except Exception:
            _log.exception("a study's processes did not end well")


def _rest() -> None:
    """Idle from now on, for a while."""
    timer = threading.Timer(IDLE_S, leave)
    timer.daemon = True
    _resting.append(timer)
    timer.start()


def topic_of(session: str) -> str:
    """Under which a session's workers tell what they do."""
    return f"paretune {session}"
