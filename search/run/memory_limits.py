"""Limits on memory that a runtime cannot hold whatever model it runs: known before any model is trained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from ...backends.registry import get_backend
from ...backends.runner.leased import DeviceLease
from ...profiles.devices.shown import device_identity
from ...profiles.errors import UserError
from ...profiles.words import joined
from ..job.job import Job
from ..job.reached import Reached
from ..record.evaluation import Masked
from ..record.limits import LimitSpec
from ..record.metrics import MEMORY_METRICS, metric_info
from ..record.progress import Progress
from ..stages.deployment.runtime_need import RuntimeNeed, RuntimeNeeds
from ..store.store import Store


def within_memory(job: Job, reached: Reached, store: Store, lease: DeviceLease, progress: Progress) -> Job:
    """The job without the backends that no limit on memory leaves room for. What each takes is measured on
    the device, where that was not done before; a study without such a limit, or of a device that is not
    there, asks nothing.

    Raises:
        UserError: none is left, or the device cannot be reached.
    """
    limits = memory_limits(job)
    if not limits or job.estimate is not None:
        return job
    there = reached.environment.get("packages") or {}
    with closing(lease):
        needs = _needs(job, store, lambda names: {n: str(there[n]) for n in names if n in there})
        progress.stage("measuring what the runtimes themselves take in memory")
        found = {one.name: needs.measured(one.name, lease) for one in job.space.backends}
    return _fitting(job, limits, found)


def as_known(job: Job) -> Job:
    """As `within_memory`, by what the store of the job remembers; nothing is measured or written."""
    limits, root = memory_limits(job), job.places.store
    if not limits or job.estimate is not None or not Path(root).is_dir():
        return job
    needs = _needs(job, Store(root), lambda names: {})
    return _fitting(job, limits, {one.name: needs.known(one.name) for one in job.space.backends})


def memory_limits(job: Job) -> tuple[LimitSpec, ...]:
    """The limits on memory that are known before the teacher is, the tightest of each metric first. None
    where the device is not there: what runtimes take is measured."""
    if job.estimate is not None:
        return ()
    found = [
        one for one in job.limits if one.metric in MEMORY_METRICS and one.upper and one.bound is not None
    ]
    return tuple(sorted(found, key=lambda one: one.bound or 0.0))


def _needs(job: Job, store: Store, versions: Callable[[tuple[str, ...]], Mapping[str, str]]) -> RuntimeNeeds:
    names = [one.name for one in job.space.backends]
    return RuntimeNeeds(
        store=store,
        guard=job.guard,
        device=device_identity(job.profile),
        versions=versions,
        targets={name: get_backend(name).target(job.profile) for name in names},
        threads=job.file.deploy.setting.threads,
    )


def _fitting(job: Job, limits: Sequence[LimitSpec], found: Mapping[str, RuntimeNeed | None]) -> Job:
    """The job without the backends whose need is above a limit.

    Raises:
        UserError: that is so for all of them.
    """
    over = {name: spec for name, need in found.items() if need and (spec := _over(need, limits)) is not None}
    if not over:
        return job
    needs = {name: need for name, need in found.items() if need is not None}
    if len(over) == len(found):
        raise _nothing_fits(job.places.study_file, over, needs)
    masked = tuple(
        Masked(backend=name, what="all", reason=_why(name, needs[name], spec)) for name, spec in over.items()
    )
    space = job.space
    left = tuple(one for one in space.backends if one.name not in over)
    return replace(job, space=replace(space, backends=left, masked=(*space.masked, *masked)))


def _over(need: RuntimeNeed, limits: Sequence[LimitSpec]) -> LimitSpec | None:
    return next((spec for spec in limits if need.of(spec.metric) > (spec.bound or 0.0)), None)


def _why(name: str, need: RuntimeNeed, spec: LimitSpec) -> str:
    title = get_backend(name).title or name
    return f"{title} alone takes {_said(need, spec)} before any model, the limit is {spec.text!r}"


def _said(need: RuntimeNeed, spec: LimitSpec) -> str:
    return metric_info(spec.metric).format(need.of(spec.metric))


def _nothing_fits(
    study_file: Path, over: Mapping[str, LimitSpec], needs: Mapping[str, RuntimeNeed]
) -> UserError:
    found = [f"{get_backend(name).title or name} {_said(needs[name], spec)}" for name, spec in over.items()]
    texts = joined([*dict.fromkeys(repr(spec.text) for spec in over.values())])
    least_of = min(over, key=lambda name: needs[name].of(over[name].metric))
    spec = over[least_of]
    return UserError(
        f"no model can meet {texts}: the runtimes themselves take more, before any model is loaded",
        place=f"{study_file}: constraints",
        found="; ".join(found),
        accepted=f"more than {_said(needs[least_of], spec)}, and what the model takes beside it",
        remedy="raise the limit, or let `space.backend` have a smaller runtime; nothing was trained",
    )
