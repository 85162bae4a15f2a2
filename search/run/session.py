"""Run or resume one study from its file: sets everything up, hands over to the driver, cleans up."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from optuna.samplers import BaseSampler

from ...backends.measure.environment import environment
from ...backends.registry import packages
from ...backends.runner.leased import DeviceLease
from ...profiles.standard_descriptors import open_standard_descriptors
from ...profiles.system_trouble import check_limits_of_a_search
from ..driver.budget import Budget, StopFlag
from ..driver.device_time import remember_pace
from ..driver.driver import Driver
from ..driver.many import DriverOfMany
from ..driver.parts import DriverParts
from ..driver.plan import SearchPlan
from ..evaluation.side_effects import check_possible
from ..job.absent import described
from ..job.job import Job, load_job
from ..job.load_time import load_seconds
from ..job.pool import reached_pool
from ..job.reached import Reached
from ..record.evaluation import StudyRecord
from ..record.metrics import SIDE_EFFECTS
from ..record.progress import Progress
from ..record.sustained import NOT_THERE, seconds_of
from ..record.workers import Workers
from ..stages.device.effort import Effort
from ..stages.device.stages import DeviceStages
from ..stages.models.base import Models
from ..stages.models.load import check_data
from ..storage.driver_lock import DriverLock
from ..storage.lost import Patience
from ..storage.redacted import without_passwords_of
from ..storage.same_problem import evaluated_before
from ..storage.study_store import StudyStore
from ..store.opening import open_store
from ..store.store import Store
from . import finished
from .absent import Absent, chain_of, record_of_estimates, with_measurements, worth_timing
from .alone import alone
from .device import device_stages
from .evaluating import evaluator_of
from .further import sustained_of
from .kind import StudyKind
from .memory_limits import within_memory
from .one_meter import check_one_meter
from .session_end import SessionEnd as SessionEnd
from .setup import set_up_search
from .stored import write_run_file_of
from .waiting import for_entries, lease_for
from .while_devices_answer import while_devices_answer

MakeWorkers = Callable[[Job, Store, Budget, Progress], AbstractContextManager[Callable[[], Workers]]]
"""Makes the workers of a job that is about to be searched, which go with the block, and come when they are
called, at the latest; what cannot be is refused at once."""


def run_study(
    path: Path,
    progress: Progress | None = None,
    stop: StopFlag | None = None,
    audit: float = 0.0,
    *,
    again: bool = False,
    absent: Absent | None = None,
    workers: MakeWorkers | None = None,
) -> SessionEnd:
    """Run or resume the study of a file until its budget ends or `stop` is set.

    `audit` is the share (0 to 1) of the gated candidates that are trained after all at the end. A study that
    has ended is left as it is, unless it has more budget by now, is audited, or `again` has its finalists
    measured anew. `absent`: its device cannot be reached, and is estimated. `workers` makes those that
    evaluate its candidates; without, this process does.

    Raises:
        UserError: the file or something it names cannot be accepted; nothing was written then.
    """
    open_standard_descriptors()
    job = with_measurements(load_job(path, estimate=absent is not None), absent)
    run = partial(run_job, job, StudyKind(), progress, stop, audit, again=again, workers=workers)
    return while_devices_answer(job, run, progress, stop)


def run_job(
    job: Job,
    kind: StudyKind,
    progress: Progress | None = None,
    stop: StopFlag | None = None,
    audit: float = 0.0,
    *,
    again: bool = False,
    within: float | None = None,
    workers: MakeWorkers | None = None,
) -> SessionEnd:
    """Run or resume the study of a job, see `run_study`; `within` are the seconds that this session may take,
    whatever is left of the study's own budget."""
    progress, stop = progress or Progress(), stop or StopFlag()
    check_limits_of_a_search()
    budget = Budget(trials=job.file.budget.trials, seconds=job.file.budget.time, stop=stop, within=within)
    budget.start()
    reached = job.reached(to_measure=True) if workers is None else reached_pool(job)
    remarks = _checked_data(job, reached, progress)
    before = evaluated_before(job.places.storage, job.file.name, job.problem(), own=job.file.storage is None)
    known = None if again or audit or not before else finished.finished_record(job, reached.environment)
    if known is not None:
        return SessionEnd(record=known, places=job.places, interrupted=False, unchanged=True)
    store = open_store(job.places.store_name, budget.worked, for_entries(budget))
    job = within_memory(job, reached, store, lease_for(job, reached.launch, progress, budget), progress)
    models = kind.models(job, store, progress, budget)
    _check_limits(job, models)
    possible = models.possible(job.space, job.file.deploy.setting.batch)
    job = replace(job, space=kind.space(possible.space, models))
    made = workers(job, store, budget, progress) if workers else nullcontext()
    with alone(job) as lock:
        models.prepare(job.space)
        _tell_time(budget, progress)
        lease = lease_for(job, reached.launch, progress, budget)
        device = _device(job, reached, store, progress, models, lease, budget)
        # A resumed sampler starts anew; with the same seed it would propose the same points again.
        search = set_up_search(job, models.teacher_facts(), models, before, budget, beside=bool(workers))
        opened = _studies(job, search.sampler, progress, stop, lock)
        with closing(opened) as studies, closing(device), made as others:
            remarks = (*remarks, *search.remarks, *models.remarks(), *_noted(lease.remarks(), progress))
            plan = _plan(job, models, reached, remarks)
            plan = kind.plan(replace(plan, impossible=possible.impossible))
            _keep_timings(job, studies, plan, before)
            chain = chain_of(job, models, device, budget)
            chain.sustained = sustained_of(job, again=again)
            evaluator = evaluator_of(job, chain, budget, studies.records(), kind, reached)
            parts = DriverParts(plan, evaluator, search, studies, budget, progress)
            driver = Driver(parts) if others is None else DriverOfMany(parts, others, reached.alike)
            check_one_meter(reached.meter, studies.records())
            finished.begins(studies)
            began = time.time()
            record = driver.run()
            remember_pace(job, record, began, driver.ending.finalist_s, device.effort.pace)
            if not stop.requested and driver.ending.gone is None:
                driver.frame = worth_timing(driver.frame, record, chain)
                at, estimated = _ended(studies, job, budget, driver), driver.frame.estimated
                ended = replace(record, ended=at, estimated=estimated)
                record = driver.audit(audit) if audit else ended
        interrupted = stop.requested and driver.ending.gone is None
        return SessionEnd(record=record, places=job.places, interrupted=interrupted, gone=driver.ending.gone)


def _device(
    job: Job,
    reached: Reached,
    store: Store,
    progress: Progress,
    models: Models,
    lease: DeviceLease,
    budget: Budget,
) -> DeviceStages:
    """The device, which takes no longer for anything than the budget allows."""
    device = device_stages(job, reached, store, progress, models, lease, budget)
    device.effort = Effort(budget.seconds, budget.afford, progress.note)
    return device


def _keep_timings(job: Job, studies: StudyStore, plan: SearchPlan, before: int) -> None:
    """What was timed by hand is in the record, and nowhere else: also of a study that is about to begin."""
    if job.estimate is not None and not before:
        studies.save_frame(plan.frame)


def _ended(studies: StudyStore, job: Job, budget: Budget, driver: Driver) -> str:
    """Search and finalists have come to their end; when that was."""
    at = datetime.now(timezone.utc).isoformat()
    with studies.together():
        finished.ended(studies, job, budget, driver.evaluated, at)
        driver.ended(at)
    return at


def _checked_data(job: Job, reached: Reached, progress: Progress) -> tuple[str, ...]:
    """Remarks on the device and the data, told at once."""
    _noted(reached.remarks, progress)
    progress.note(f"checking the workload {job.loaded.workload.name!r}")
    return (*reached.remarks, *_not_there(job), *_noted(check_data(job.loaded), progress))


def _not_there(job: Job) -> tuple[str, ...]:
    """What the study file asks of a device that is estimated."""
    return (NOT_THERE,) if job.estimate is not None and job.file.sustained is not None else ()


def _noted(remarks: tuple[str, ...], progress: Progress) -> tuple[str, ...]:
    for remark in remarks:
        progress.note(remark)
    return remarks


def _check_limits(job: Job, models: Models) -> None:
    """Limits on side effects must have a meaning for the task."""
    limited = {limit.metric for limit in job.limits} & set(SIDE_EFFECTS)
    if limited:
        check_possible(limited, models.expected_task())


def _tell_time(budget: Budget, progress: Progress) -> None:
    if budget.seconds is not None:
        used = f"{budget.elapsed_seconds:.0f} s of the budget of {budget.seconds:g} s"
        progress.note(f"set-up and the teacher took {used}; search and finalists are in it too")


def _studies(
    job: Job, sampler: BaseSampler, progress: Progress, stop: StopFlag, lock: DriverLock | None
) -> StudyStore:
    studies = StudyStore.create_or_resume(
        url=job.places.storage,
        name=job.file.name,
        problem=job.problem(),
        objectives={objective.metric: objective.higher_is_better for objective in job.objectives},
        sampler=sampler,
        patience=Patience(note=progress.note, stage=progress.stage, asked=lambda: stop.count),
        lock=lock,
    )
    write_run_file_of(job)
    return studies


def _plan(job: Job, models: Models, reached: Reached, remarks: tuple[str, ...]) -> SearchPlan:
    frame = StudyRecord(
        name=job.file.name,
        study_text=without_passwords_of(job.places.storage, job.text),
        workload=job.loaded.workload.name,
        profile=job.profile.name,
        quality=job.quality,
        objectives=job.objectives,
        limits=(),
        trials=(),
        masked=job.space.masked,
        host=dict(environment(packages())) if reached.environment or job.estimate else {},
        environment=described(job.profile)
        if job.estimate
        else {**(reached.environment or environment(packages())), **reached.looked.as_found},
        teacher=models.teacher_facts(),
        store=job.places.store_name,
        sampler=job.file.sampler,
        remarks=remarks,
        budget_trials=job.file.budget.trials,
        budget_seconds=job.file.budget.time,
        retargets=job.of,
        estimated=record_of_estimates(job),
    )
    return SearchPlan(
        space=job.space,
        limits=job.limits,
        finalists=job.file.finalists,
        finalist_rounds=job.file.measure.finalist_rounds,
        more_rounds=job.file.measure.finalist_rounds / job.file.measure.rounds + job.axes().most(job.space),
        more_samples=len(job.loaded.splits.test) / max(1, len(job.loaded.splits.validation)),
        seed=job.file.seed,
        frame=frame,
        tuning=job.tuning_seconds,
        each_s=load_seconds(job) + (seconds_of(job.file.sustained.time, 1) if job.file.sustained else 0.0),
    )
