"""The device of a study: the stages that run there, as its job asks for them."""

from __future__ import annotations

from dataclasses import replace

from ...backends.measure.environment import saturates_here
from ...backends.measure.samples import ENOUGH_SHARE, LatencyPlan
from ...backends.registry import get_backend
from ...backends.runner.leased import DeviceLease
from ...backends.runner.trouble import UnreachableError
from ...profiles.devices.shown import device_identity
from ...profiles.errors import ParetuneError, UserError
from ...profiles.words import one_line
from ..driver.budget import Budget
from ..job.job import Job
from ..job.reached import Reached
from ..record.progress import Progress
from ..record.stops import ENDS_EARLY, DeviceGoneError
from ..stages.absent.stages import AbsentStages
from ..stages.device.line import Line
from ..stages.device.remote import Asked, RemoteDevice
from ..stages.device.runners import Deployment
from ..stages.device.stages import DeviceStages
from ..stages.models.base import Models
from ..store.store import Store

AMONG_OTHERS_S = 90.0
"""So long one device of several is waited for that does not answer, and no longer than the study says."""


def reached_of_pool(job: Job, device: str) -> Reached:
    """One device of the job's pool ("": the first that answers, or the only one), as a study begins to use it
    or goes back to it.

    Raises:
        DeviceGoneError: it cannot be reached, or one of several is another device by now.
        UserError: the only one is another device.
    """
    try:
        return job.reached(to_measure=True, device=device)
    except UnreachableError as error:
        raise DeviceGoneError(error.problem, found=error.found, remedy=error.remedy) from error
    except UserError as error:
        if not device:
            raise
        raise unusable(device, error) from error


def unusable(device: str, error: ParetuneError) -> DeviceGoneError:
    """One of several that answers, and with which nothing can be done, is as good as gone."""
    return DeviceGoneError(
        f"{ENDS_EARLY}nothing can be measured on device {device}",
        found=one_line(str(error), 300),
        remedy="see to it (`paretune devices check`). What was finished is kept: the same command goes on "
        "from there",
    )


def device_stages(
    job: Job,
    reached: Reached,
    store: Store,
    progress: Progress,
    models: Models,
    lease: DeviceLease | None = None,
    budget: Budget | None = None,
    *,
    others: bool = False,
) -> DeviceStages:
    """The stages that run on the job's device, or on this machine in its place; the caller closes them. A
    stop that `budget` knows of ends a wait for the device. Where there are `others` of its kind, one that
    does not answer is waited for no longer than a reboot takes."""
    checkpoint = budget.checkpoint if budget else lambda: None
    patience = min(job.guard.patience_s, AMONG_OTHERS_S) if others else job.guard.patience_s
    guard = replace(job.guard, patience_s=patience)
    return (AbsentStages if job.estimate else DeviceStages)(
        store=store,
        deployment=_deployment(job, reached, models),
        lease=lease or DeviceLease(reached.launch, guard=job.guard, study=job.file.name),
        line=Line(launch=reached.launch, guard=guard, progress=progress, checkpoint=checkpoint),
        plan=_latency_plan(job),
        announce=progress.stage,
        pinned=reached.looked.fastest.cores or True,
        tuning=job.tuning,
    )


def _deployment(job: Job, reached: Reached, models: Models) -> Deployment:
    return Deployment(
        batch=job.file.deploy.setting.batch,
        threads=job.file.deploy.setting.threads,
        device=device_identity(job.profile),
        instructions=reached.instructions,
        targets={one.name: get_backend(one.name).target(job.profile) for one in job.space.backends},
        watched=reached.looked.state is not None,
        meter=reached.meter,
        remote=_remote(reached, models) if reached.environment else None,
        one=reached.device,
    )


def _remote(reached: Reached, models: Models) -> RemoteDevice:
    def asked() -> Asked:
        data, digest = models.calibration()
        return Asked(data=data, digest=digest, outputs=models.outputs)

    otherwise = reached.int8_saturates != saturates_here()
    return RemoteDevice(environment=reached.environment, asked=asked, saturates_otherwise=otherwise)


def _latency_plan(job: Job) -> LatencyPlan:
    """Percentiles need rounds: a p90 64 independent runs and a p99 662, and runs of one round are alike."""
    wanted = {limit.metric for limit in job.limits} | {objective.metric for objective in job.objectives}
    least = 240 if "latency_p99_ms" in wanted else 40 if "latency_p90_ms" in wanted else 0
    rounds = max(job.file.measure.rounds, least)
    early = 0.0 if least else ENOUGH_SHARE
    processes = job.file.measure.processes
    return LatencyPlan(rounds=rounds, enough_share=early, seed=job.file.seed, processes=processes)
