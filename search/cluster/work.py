"""A worker's side of a study: the same parts as a session has, and a candidate at a time."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from ...profiles.errors import UserError
from ...profiles.standard_descriptors import open_standard_descriptors
from ..driver.budget import Budget, StopFlag
from ..driver.device_time import measured_of
from ..evaluation.evaluator import Evaluator
from ..job.job import Job, load_job
from ..record.progress import Progress
from ..record.stops import INTERRUPTED, DeviceGoneError, Interrupted
from ..record.workers import WorkerResult
from ..run.device import reached_of_pool
from ..run.kind import StudyKind
from ..run.memory_limits import within_memory
from ..run.on_devices import OnDevices
from ..run.waiting import for_entries, lease_for
from ..stages.chain import Trace
from ..store.opening import open_store
from ..store.users import working
from ..workload.importing import forget_theirs
from .asking import LEFT, AskedJudge, Say, ToldProgress, asked
from .fitness import STAGE, differences, facts_of, upgraded
from .orders import Order, StudyOrder

NO_TASK: int | None = None


class UnfitError(Exception):
    """This process cannot work for a study; with `passes` it may be able to later."""

    def __init__(self, *found: str, passes: bool = False) -> None:
        self.differences, self.passes = found, passes
        super().__init__("; ".join(found))


class WorkingStudy:
    """A study, as far as this worker works for it; `stop` is set where the driver wants it to end. It is
    ready but for the device, which is asked when a first task comes: who measures there now is not disturbed.

    Raises:
        UnfitError: it cannot.
        Interrupted: a stop was asked for meanwhile.
    """

    def __init__(self, order: StudyOrder, say: Say, worker: str, stop: StopFlag) -> None:
        open_standard_descriptors()
        self.session, self._worker, self._number = order.session, worker, NO_TASK
        self._say: Say = lambda what: say({"task": self._number, **what})
        self.progress = ToldProgress(self._say)
        self.budget = Budget(trials=None, seconds=order.seconds, stop=stop)
        self.budget.start()
        job = fit_job(order)
        with ExitStack() as stack:
            try:
                where, budget = job.places.store_name, self.budget
                store = open_store(where, budget.worked, for_entries(budget))
                if store.get(STAGE, order.witness) is None:
                    raise UnfitError(f"the study's store is not seen there: {where} is another")
                stack.enter_context(working(job.places.store, job.places.run_dir))
                models = StudyKind().models(job, store, self.progress, self.budget)
                job = replace(job, space=models.possible(job.space, job.file.deploy.setting.batch).space)
                models.prepare(job.space)
            except UserError as error:  # of this machine: the driver has come through it
                raise UnfitError(str(error), passes=True) from error
            self._parts, self._order = (job, store, models), order
            self._closing = stack.pop_all()

    @cached_property
    def _devices(self) -> OnDevices:
        """Raises:
        UnfitError: this machine has no way to any; the driver has.
        """
        job, store, models = self._parts
        try:
            reached, quiet = reached_of_pool(job, ""), Progress()
            lease = lease_for(job, reached.launch, quiet, self.budget)
            job = within_memory(job, reached, store, lease, quiet)
        except UserError as error:
            raise UnfitError(str(error), passes=True) from error
        against = self._order.reference, self._order.seconds
        found = OnDevices(job, store, models, self.budget, self.progress, *against, reached)
        self._closing.callback(found.close)
        self.progress.quiet = False
        return found

    def done(self, order: Order) -> WorkerResult:
        """What comes of a task. A device that is gone comes back as its error.

        Raises:
            ParetuneError: it cannot be done here.
        """
        budget, started, waited = self.budget, self.budget.clock(), self.budget.waited
        if budget.stop.requested:
            return WorkerResult(task=order.task, worker=self._worker, stopped=INTERRUPTED)
        self._number = order.task.number
        # The order may have waited, and this process has made itself ready since.
        left, budget.rest = asked(self._say, (order.seconds_left, order.rest), LEFT)
        budget.seconds = None if left is None else budget.elapsed_seconds + left
        found = WorkerResult(task=order.task, worker=self._worker)
        try:
            with self._devices.on(order.task.device) as evaluator:
                found = self._found(found, order, evaluator)
        except Interrupted as stop:
            found = replace(found, stopped=stop.why)
        except DeviceGoneError as error:
            found = replace(found, error=error)
        return replace(found, seconds=budget.clock() - started, waited=budget.waited - waited)

    def _found(self, found: WorkerResult, order: Order, evaluator: Evaluator) -> WorkerResult:
        task, standard = order.task, order.standard
        if task.measure:
            self.progress.stage(f"measuring {task.candidate.title} with untrained weights")
            trace = Trace()
            hardware = measured_of(lambda: evaluator.hardware(task.candidate, standard, trace))
            stages = {stage.name: stage.seconds for stage in trace.stages if not stage.cached}
            return replace(found, hardware=hardware, stages=stages)
        if task.known is not None:
            evaluator.remember(task.candidate, task.known)
        judge = AskedJudge(self._say, standard)
        evaluation = evaluator.evaluate(task.candidate, judge, baseline=task.baseline)
        return replace(found, evaluation=evaluation)

    def close(self) -> None:
        """End every process that belongs to it; its store knows that it is at work until then."""
        self._closing.close()


def fit_job(order: StudyOrder) -> Job:
    """The job of the study's file as this process reads it, with code of the user's as it is on the disk now.

    Raises:
        UnfitError: it is another one here, or cannot be read.
    """
    path = Path(order.study_file)
    if not path.is_file():
        raise UnfitError(f"the study file is not seen there: {path}", passes=True)
    again = forget_theirs()
    try:
        job = load_job(path)
    except UserError as error:
        remedy = "; it had code of yours loaded before: restart it, if that is in the way" if again else ""
        raise UnfitError(f"the study file cannot be used there: {error}{remedy}", passes=True) from error
    found = (*differences(order.expected, facts_of(job)), *upgraded())
    if found:
        raise UnfitError(*found)
    return job
