"""What several workers and devices did in a study, how much of the time, and what limited it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...profiles.words import counted, duration
from ...search.record.evaluation import StudyRecord
from .at_work import in_order
from .work_times import (
    KINDS,
    MEASURE,
    MEASURING,
    READY,
    SCORING,
    TRAINING,
    WAITING,
    Stint,
    by_kind,
    kind_of,
    present,
    sessions,
    tasks,
)

FULL, MUCH_IDLE, MUCH_WAITING = 0.8, 0.3, 0.25
"""From these shares of the time on, a device is taken to be in use all the time, workers to have too little
to do, and to wait for devices too often."""


@dataclass(frozen=True, kw_only=True)
class WorkerShare:
    """One worker: how many trials it evaluated and how many networks it measured with untrained weights,
    seconds by kind (`work_times.KINDS`), for how many it was `there` (`work_times.present`), and the share of
    these in which it had nothing to do."""

    name: str
    trials: int
    untrained: int
    seconds: Mapping[str, float]
    there: float
    idle: float


@dataclass(frozen=True, kw_only=True)
class DeviceShare:
    """One device: how many measurements it took, the share of the time in which it was in use, and how long
    workers waited for it, all together."""

    name: str
    measurements: int
    in_use: float
    waited: float


@dataclass(frozen=True, kw_only=True)
class WorkersShown:
    """`seconds` is how long the study was at work, from when the first trial was handed out; `limited` says
    in a sentence what kept it from being shorter."""

    seconds: float
    workers: tuple[WorkerShare, ...]
    devices: tuple[DeviceShare, ...]
    limited: str


def workers_shown(record: StudyRecord) -> WorkersShown | None:
    """None where fewer than two took part."""
    done = tasks(record)
    if len({task.worker for task in done}) < 2:
        return None
    spent, there = sessions(done).seconds, present(done)
    workers = tuple(_worker(name, of, there[name]) for name, of in _grouped(done, "worker"))
    # What computes on another machine than it measures on also keeps that one busy while it scores there.
    uses = (MEASURING, SCORING) if record.host else (MEASURING,)
    devices = tuple(_device(name or record.profile, of, spent, uses) for name, of in _grouped(done, "device"))
    return WorkersShown(seconds=spent, workers=workers, devices=devices, limited=_limited(workers, devices))


def _grouped(done: Sequence[Stint], by: str) -> list[tuple[str, list[Stint]]]:
    found = defaultdict[str, list[Stint]](list)
    for task in done:
        found[getattr(task, by)].append(task)
    return sorted(found.items(), key=lambda one: in_order(one[0]))


def _worker(name: str, done: Sequence[Stint], there: float) -> WorkerShare:
    return WorkerShare(
        name=name,
        trials=sum(task.number is not None for task in done),
        untrained=sum(task.number is None for task in done),
        seconds=by_kind(done),
        there=there,
        idle=max(1 - sum(task.seconds for task in done) / there, 0.0) if there else 0.0,
    )


def _device(name: str, done: Sequence[Stint], spent: float, uses: Sequence[str]) -> DeviceShare:
    stages = [stage for task in done for stage in task.stages]
    used = sum(seconds for stage, seconds in stages if kind_of(stage) in uses)
    return DeviceShare(
        name=name,
        measurements=sum(stage == MEASURE for stage, _ in stages),
        in_use=min(used / spent, 1.0),
        waited=sum(task.waited for task in done),
    )


def _limited(workers: Sequence[WorkerShare], devices: Sequence[DeviceShare]) -> str:
    there = sum(worker.there for worker in workers) or 1.0

    def share(kind: str) -> float:
        return sum(worker.seconds[kind] for worker in workers) / there

    in_use = sum(device.in_use for device in devices) / len(devices)
    idle = sum(one.idle * one.there for one in workers) / there
    ready, waited = share(READY), share(WAITING)
    used, theirs, more = f"the one device was in use {_percent(in_use)} of the time", "the device", "a second"
    if len(devices) > 1:
        theirs, more = "devices", "another"
        used = f"the {len(devices)} devices were in use {_percent(in_use)} of the time on average"
    if in_use >= FULL:
        return f"{used[:1].upper()}{used[1:]}: more workers would not help; {more} device would."
    if waited >= MUCH_WAITING:
        held_up = f"Workers waited for {theirs} {_percent(waited)} of their time, and {used}"
        return f"{held_up}: more workers would help little; {more} device would help more."
    if idle >= MUCH_IDLE:
        held_up = f"Workers had nothing to do {_percent(idle)} of the time"
        return f"{held_up}: there was not always a candidate for each of them, and fewer would have done."
    if ready >= MUCH_IDLE:
        return f"Workers made themselves ready for {_percent(ready)} of the time: the study was a short one."
    working = f"Workers were at work {_percent(1 - idle - waited - ready)} of the time"
    return f"{working}, {_percent(share(TRAINING))} in training, and {used}: more workers would help."


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


@dataclass(frozen=True, kw_only=True)
class WorkersTables:
    """The same as cells: `columns` and `rows` of workers, `device_columns` and `device_rows` of devices."""

    intro: str
    limited: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    device_columns: tuple[str, ...]
    device_rows: tuple[tuple[str, ...], ...]


def workers_section(record: StudyRecord) -> WorkersTables | None:
    """What the page shows of it; None where fewer than two workers took part."""
    shown = workers_shown(record)
    if shown is None:
        return None
    kinds = [kind for kind in KINDS if any(worker.seconds[kind] >= 1 for worker in shown.workers)]
    ahead = any(worker.untrained for worker in shown.workers)
    return WorkersTables(
        intro=f"{counted(len(shown.workers), 'worker')} took part, for "
        f"{duration(round(shown.seconds))}; idle is a share of the time in which a worker was there. The "
        "reference before all that and the finalists after it are the study's own work.",
        limited=shown.limited,
        columns=(
            "Worker",
            "Trials",
            *(["Untrained"] if ahead else []),
            *(kind.capitalize() for kind in kinds),
            "Idle",
        ),
        rows=tuple(
            (
                worker.name,
                str(worker.trials),
                *([str(worker.untrained)] if ahead else []),
                *(_time(worker.seconds[kind]) for kind in kinds),
                _percent(worker.idle),
            )
            for worker in shown.workers
        ),
        device_columns=("Device", "Measurements", "In use", "Waited for"),
        device_rows=tuple(
            (one.name, str(one.measurements), _percent(one.in_use), _time(one.waited))
            for one in shown.devices
        ),
    )


def _time(seconds: float) -> str:
    return duration(round(seconds)) if seconds >= 10 else f"{seconds:.1f} s"
