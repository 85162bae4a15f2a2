"""What a device tells when it is looked at before anything is measured on it: facts, no judgement."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from statistics import median
from typing import Any, TypeVar

from ...profiles.devices.reported import fit_of
from ...profiles.devices.schema import Profile
from ...profiles.errors import StageError, UserError
from ..energy.named import wish_of
from ..measure.core_speeds import FastestCores
from ..measure.environment import environment
from ..measure.latency import measure
from ..measure.samples import ENOUGH_SHARE, LatencyPlan, Rounds, against_itself
from ..measure.spread import Spread, spread_among
from ..registry import packages
from ..runner.client import Guard, RunnerClient
from ..runner.launch import Launch, launch_for
from ..runner.leased import DeviceLease, holder_of
from ..runner.meters import ask_meters
from ..runner.reading import Reader, list_of, mapping, maybe, text, whole
from ..runner.replies import hello as read_hello
from ..runner.replies import nanoseconds
from ..runner.states import ask_fastest, state
from ..watch.state import State
from .meters import SeenMeters, seen
from .same_runner import runner_remark

PROCESSES = 3
"""The fewest that tell what processes of one thing differ by."""
ROUND_TRIPS, WORK_S = 7, 60.0
LEAST_LIMIT_S, OF_A_START = 20.0, 10.0
"""Seconds that a request may take, and as many times what starting took: one that hangs is told soon."""
AS_STUDIES_MEASURE = LatencyPlan(enough_share=ENOUGH_SHARE)

Tell = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A folder of the device, what it is for, and the free bytes there (None: it cannot be asked)."""

    purpose: str
    path: str
    free_bytes: int | None


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What an A/A of the fixed work told: the spread (None: too little came of it), the share from which two
    models can be told apart, the median seconds of one run, and the cores that it was held on."""

    spread: Spread | None = None
    told_apart: float | None = None
    work_s: float | None = None
    cores: tuple[int, ...] = ()
    failed: str = ""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that was found. `environment` is the device's, `here` this machine's; `by_hand` is the command by
    which a person gets a shell there ("" for this machine), `other_runner` as in `runner_remark`, `prepared`
    whether a setup left the runner there. `differs` says where it is not quite what its profile says,
    `other_device` why it is another one. `before` and `after` are the device's state at first and after the
    A/A (None: it does not tell), `fastest` its cores by measured speed."""

    device: str
    by_hand: str
    start_s: float
    round_trip_s: float
    environment: Mapping[str, Any]
    here: Mapping[str, Any]
    other_runner: str = ""
    prepared: bool = False
    differs: tuple[str, ...] = ()
    other_device: UserError | None = None
    before: State | None = None
    after: State | None = None
    fastest: FastestCores = field(default_factory=FastestCores)
    disks: tuple[Disk, ...] = ()
    free_memory_bytes: int | None = None
    noise: Noise = field(default_factory=Noise)
    meters: SeenMeters = field(default_factory=SeenMeters)


def look_at(profile: Profile, tell: Tell, guard: Guard | None = None, device: str = "") -> Facts:
    """Start runners on the profile's device (of a pool the one of that name), ask them, and time the fixed
    work in several of them.

    Raises:
        UserError: the device cannot be reached.
        StageError: it does not answer as it should.
    """
    launch, guard = launch_for(profile.of_device(device), device), guard or Guard()
    with ExitStack() as stack:
        tell(f"starting a runner on {launch.device}")
        runner, start_s = _started(launch, guard, stack)
        tell("asking what is there")
        limit_s = max(LEAST_LIMIT_S, OF_A_START * start_s)
        hello = read_hello(runner.ask("hello", limit_s))  # before the work holds the process on one core
        before = _told(lambda: state(runner))
        round_trip_s = median(_round_trip(runner) for _ in range(ROUND_TRIPS))
        disks, memory = _space(runner, limit_s)
        meters = seen(profile, _told(lambda: ask_meters(runner, wish_of(profile))))
        lease = stack.enter_context(closing(_lease(launch, guard, tell)))
        with lease.held():
            fastest = _told(lambda: ask_fastest(runner, 1)) or FastestCores()
            noise = _noise(launch, guard, (runner, fastest.cores), tell, stack)
            after = _told(lambda: state(runner, thorough=False))
    return Facts(
        device=launch.device,
        by_hand=launch.by_hand,
        start_s=start_s,
        round_trip_s=round_trip_s,
        environment=hello.environment,
        other_runner=runner_remark(hello),
        prepared=bool(hello.prepared),
        **_against_profile(profile, launch, hello.environment),
        here=environment(packages()),
        before=before,
        after=after,
        fastest=fastest,
        disks=disks,
        free_memory_bytes=memory,
        noise=noise,
        meters=meters,
    )


def _against_profile(profile: Profile, launch: Launch, environment: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing for this machine, which is what its profile says."""
    if launch.shares_files:
        return {}
    try:
        return {"differs": fit_of(profile, environment)}
    except UserError as error:
        return {"other_device": error}


def _started(launch: Launch, guard: Guard, stack: ExitStack) -> tuple[RunnerClient, float]:
    before = time.monotonic()
    runner = stack.enter_context(RunnerClient(launch, guard=guard))
    return runner, time.monotonic() - before


def _lease(launch: Launch, guard: Guard, tell: Tell) -> DeviceLease:
    """What is timed here disturbs no study, and is not disturbed by one."""
    return DeviceLease(launch, guard=guard, study="devices check", tell=lambda text, _: tell(text))


def _round_trip(runner: RunnerClient) -> float:
    """Seconds of a request that asks for next to nothing."""
    before = time.monotonic()
    holder_of(runner)
    return time.monotonic() - before


class TimedWork:
    """The fixed work in a runner, to be sampled."""

    def __init__(self, runner: RunnerClient, cores: Sequence[int] = ()) -> None:
        self._runner, self._wanted = runner, list(cores)
        self.cores: tuple[int, ...] = ()

    def sample(self, loops: int, count: int) -> list[int]:
        """Nanoseconds of `count` samples; each is the time of `loops` runs together."""
        body = {"loops": loops, "count": count, "cores": self._wanted}
        reply = self._runner.ask("work", WORK_S, body)
        self.cores = reply.read("cores", list_of(whole), ())
        return nanoseconds(reply, count, loops)


def _told(ask: Callable[[], T]) -> T | None:
    """None where the device does not tell: an earlier paretune there, or nonsense."""
    try:
        return ask()
    except StageError as error:
        if error.outside:
            raise
        return None


def _space(runner: RunnerClient, limit_s: float) -> tuple[tuple[Disk, ...], int | None]:
    reply = runner.ask("space", limit_s)
    free = reply.read("memory", _free_bytes)
    disks = reply.read("disks", _disks)
    return disks, free


def _free_bytes(value: Any, name: str) -> int | None:
    read: Reader[int | None] = maybe(whole)
    return read(mapping(value, name).get("free_bytes"), f"free_bytes of {name}")


def _disks(value: Any, name: str) -> tuple[Disk, ...]:
    return tuple(
        Disk(
            purpose=text(purpose, name),
            path=text(mapping(told, name).get("path"), f"path of {name}"),
            free_bytes=_free_bytes(told, name),
        )
        for purpose, told in mapping(value, name).items()
    )


def _noise(
    launch: Launch, guard: Guard, first: tuple[RunnerClient, Sequence[int]], tell: Tell, stack: ExitStack
) -> Noise:
    """Of the first runner and others, all held on the same cores."""
    works = [TimedWork(*first)]
    try:
        for number in range(2, PROCESSES + 1):
            tell(f"starting process {number} of {PROCESSES} that do the same work")
            works.append(TimedWork(_started(launch, guard, stack)[0], first[1]))
        tell("timing the same work in all of them")
        subjects = {f"process {number}": work for number, work in enumerate(works, 1)}
        rounds = measure(subjects, None, against_itself(AS_STUDIES_MEASURE))
    except StageError as error:
        return Noise(failed=error.cause)
    return noise_in(rounds, works[0].cores)


def noise_in(rounds: Rounds, cores: Sequence[int]) -> Noise:
    """What the rounds of an A/A tell."""
    if rounds.failed:
        return Noise(failed=next(iter(rounds.failed.values()))[1], cores=tuple(cores))
    each = rounds.series.values()
    runs = [min(block.samples) / one.loops / 1e9 for one in each for block in one.blocks]
    spread = spread_among(rounds)
    return Noise(
        spread=spread,
        told_apart=spread.told_apart(AS_STUDIES_MEASURE) if spread else None,
        work_s=median(runs),
        cores=tuple(cores),
    )
