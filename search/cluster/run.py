"""`run` with workers: the session of a study whose driver has others evaluate its candidates."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from ...profiles.errors import UserError
from ..driver.budget import Budget, StopFlag
from ..job.job import Job
from ..job.places import places_of
from ..job.study_file import load_study_file
from ..job.workers_section import WorkersSection
from ..record.progress import Progress
from ..record.workers import Workers
from ..run.absent import Absent
from ..run.session import MakeWorkers, SessionEnd, run_study
from ..storage.shared import check_shared
from ..storage.url import StorageUrl
from ..store.store import Store
from .fitness import facts_of, witness
from .orders import StudyOrder
from .script import check_script
from .start import check_answers, check_installed, check_room, cluster, on_this_machine

if TYPE_CHECKING:
    from .engine import DaskWorkers


def run_study_with_workers(
    path: Path,
    asked: WorkersSection | None,
    progress: Progress | None = None,
    stop: StopFlag | None = None,
    audit: float = 0.0,
    *,
    again: bool = False,
    absent: Absent | None = None,
) -> SessionEnd:
    """As `run_study`, by the workers that are `asked` for, else by those of the study file, where it names
    any.

    Raises:
        UserError: as `run_study`; the engine is not installed; no worker is fit for the study; workers are on
            other machines, and the study lies in a file of this one.
    """
    wanted = asked or load_study_file(path).workers
    if wanted is None:
        return run_study(path, progress, stop, audit, again=again, absent=absent)
    if absent is not None:
        raise UserError(
            "a study whose device is estimated runs without other workers",
            place="workers",
            remedy="leave out --workers and --cluster, and `workers` in the study file",
        )
    file = load_study_file(path)
    makes = workers_of(wanted, places_of(file, path).storage, file.name)
    return run_study(path, progress, stop, audit, again=again, workers=makes)


def workers_of(wanted: WorkersSection | None, storage: StorageUrl, name: str) -> MakeWorkers | None:
    """What makes the workers that are wanted for the study of that name in that storage; None where none are.

    Raises:
        UserError: the engine is not installed; the script that runs would start workers in each of them; no
            memory is left for so many; or they are on other machines, and the study lies in a file of this.
    """
    if wanted is None:
        return None
    check_installed()
    if wanted.count is not None:
        check_script()
        check_room(wanted.count)
    if wanted.cluster is not None and not on_this_machine(wanted.cluster):
        check_shared(storage, name)
    return partial(_workers, wanted)


def _workers(
    wanted: WorkersSection, job: Job, store: Store, budget: Budget, progress: Progress
) -> AbstractContextManager[Callable[[], Workers]]:
    """Raises:
    UserError: the workers are on other machines, and the device is `host`; or nobody answers at the cluster's
        address.
    """
    _check_host(wanted, job)
    if wanted.cluster is not None:
        progress.stage("looking for the cluster")
        check_answers(wanted.cluster)
    return _coming(wanted, job, store, budget, progress)


@contextmanager
def _coming(
    wanted: WorkersSection, job: Job, store: Store, budget: Budget, progress: Progress
) -> Iterator[Callable[[], Workers]]:
    """Answers with the workers once they are there. Where this machine is not the one that is measured, they
    start and make themselves ready beside the block; where it is, they have started before it.

    Raises:
        UserError: see `_begun`, here or where they are called.
    """
    session, here = uuid.uuid4().hex, job.profile.reach.kind == "local"

    def left() -> tuple[float | None, float]:
        seconds = budget.seconds_left
        return (seconds if isfinite(seconds) else None), budget.rest

    with witness(store, session) as seen, ExitStack() as stack, ThreadPoolExecutor(1, "workers") as beside:
        order = StudyOrder(
            session=session,
            study_file=str(job.places.study_file),
            expected=facts_of(job),
            witness=seen,
            reference=job.space.baselines()[0],
            seconds=budget.seconds,
        )
        progress.stage("starting workers" if wanted.cluster is None else "joining the cluster")
        begun = beside.submit(_begun, stack, wanted, order, left, progress, ahead=not here)
        if here:
            begun.result()

        def come() -> Workers:
            if not begun.done():
                progress.stage("waiting for the workers")
            return begun.result()

        yield come


def _begun(
    stack: ExitStack,
    wanted: WorkersSection,
    order: StudyOrder,
    left: Callable[[], tuple[float | None, float]],
    progress: Progress,
    *,
    ahead: bool,
) -> DaskWorkers:
    """Workers that end with the stack, and with `ahead` make themselves ready at once.

    Raises:
        UserError: nobody answers at the cluster's address, or none can be started.
    """
    from .engine import DaskWorkers

    found = DaskWorkers(stack.enter_context(cluster(wanted)), order, left, progress)
    stack.callback(found.close)
    if ahead:
        found.make_ready()
    return found


def _check_host(wanted: WorkersSection, job: Job) -> None:
    """`host` is another machine on each of them. By the cluster's address this is refused before anything is
    trained; an address of this machine may be the end of a tunnel, and there workers tell where they are
    (`fitness`).

    Raises:
        UserError: workers on other machines would measure on theirs.
    """
    elsewhere = wanted.cluster is not None and not on_this_machine(wanted.cluster)
    if elsewhere and job.profile.reach.kind == "local":
        raise UserError(
            "workers on other machines would each measure on their own",
            place="profile",
            found=f"{job.profile.name}, which is the machine that asks",
            accepted="a profile whose device all workers reach: `reach: {kind: ssh, host: ...}`",
            remedy="write such a profile (this machine can be reached by ssh as well), or use --workers here",
        )
