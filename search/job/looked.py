"""How a device is, looked at before a study is measured on it: its state, a quota, its fastest cores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from ...backends.energy.discover import MetersFound, MeterWish, look
from ...backends.measure.core_speeds import FastestCores, fastest_cores
from ...backends.runner.client import RunnerClient
from ...backends.runner.meters import ask_meters
from ...backends.runner.states import ask_fastest, state
from ...backends.watch.lines import quota_text
from ...backends.watch.state import Quota, State
from ...backends.watch.watcher import of_this_machine
from ...profiles.errors import StageError, UserError

T = TypeVar("T")

_ROUNDED = 0.005  # of a core: a quota is told in millionths of a second


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What was seen; `meters` is None where the device does not tell. `remarks` are for the user."""

    state: State | None = None
    fastest: FastestCores = field(default_factory=FastestCores)
    meters: MetersFound | None = None
    remarks: tuple[str, ...] = ()

    @property
    def as_found(self) -> dict[str, Any]:
        """For the record of a study: plain values, none where nothing was seen."""
        quota = self.state.quota if self.state else None
        speeds = {"core_speeds": speeds_text(self.fastest)} if self.fastest.speeds else {}
        return {**speeds, **({"cpu_quota": quota_text(quota)} if quota else {})}


def look_here(threads: int, wish: MeterWish | None = None) -> Looked:
    """This machine, where so many threads are to be measured; nothing where none are.

    Raises:
        UserError: a quota leaves less than they want.
    """
    if not threads:
        return Looked()
    found = _looked(of_this_machine().look(), fastest_cores(threads), threads)
    return replace(found, meters=look(wish or MeterWish()))


def look_there(runner: RunnerClient, threads: int, wish: MeterWish | None = None) -> Looked:
    """As `look_here`, the device of a runner. What it does not tell is not known: it may be measured all the
    same.

    Raises:
        UserError: a quota leaves less than they want.
    """
    if not threads:
        return Looked()
    found = _if_told(lambda: state(runner))
    meters = _if_told(lambda: ask_meters(runner, wish or MeterWish()))
    looked = _looked(found, _if_told(lambda: ask_fastest(runner, threads)) or FastestCores(), threads)
    return replace(looked, meters=meters)


def _if_told(ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except StageError as error:
        if error.outside:  # the line: whoever asks next says so
            raise
        return None


def _looked(found: State | None, fastest: FastestCores, threads: int) -> Looked:
    quota = found.quota if found else None
    remarks = [_checked_quota(quota, threads)] if quota else []
    if fastest.differ:
        remarks.append(f"measured on {core_list(fastest.cores)}, by measured speed: {speeds_text(fastest)}")
    slowing = found.slowing if found else None
    if slowing:
        remarks.append(f"the device is slowed down before anything is measured: {', '.join(slowing)}")
    return Looked(state=found, fastest=fastest, remarks=tuple(remarks))


def _checked_quota(quota: Quota, threads: int) -> str:
    """What is said of a quota that may do.

    Raises:
        UserError: it does not.
    """
    if quota.cores + _ROUNDED < threads:
        few = "1 thread" if threads == 1 else f"{threads} threads"
        least = int(quota.cores)
        raise UserError(
            f"a control group would cut every measurement of {few} short",
            place="deploy.threads",
            found=f"the quota on the device is {quota_text(quota)}",
            accepted=f"at most {least} here" if least else "a quota of at least 1 core",
            remedy="give the container more (`docker run --cpus`, `limits.cpu`, `CPUQuota=`), or lower "
            "`deploy.threads`: latencies under a quota are those of the quota",
        )
    return f"a quota leaves the device {quota_text(quota)}; measurements that it cuts short do not count"


def speeds_text(fastest: FastestCores) -> str:
    """ "core 3 100 %, core 2 98 %, core 1 41 %", the fastest first, some of them where there are many."""
    ordered = sorted(fastest.speeds.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"core {core} {100 * speed:.0f} %" for core, speed in ordered]
    return ", ".join(shown if len(shown) <= 8 else [*shown[:4], "...", *shown[-3:]])


def core_list(cores: tuple[int, ...]) -> str:
    """ "core 3", "cores 2, 3"."""
    return f"{'core' if len(cores) == 1 else 'cores'} {', '.join(map(str, cores))}"
