"""The first start of a runner that was just brought to a board: Python compiles there what it loads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from ...profiles.devices.schema import Profile
from ...profiles.errors import ParetuneError, StageError, UserError
from ..energy.named import wish_of
from ..runner.client import Guard, RunnerClient
from ..runner.launch import SshLaunch
from ..runner.meters import ask_meters
from .meters import seen
from .parts import PreparedSet
from .runtimes import NUMPY, Runtime
from .steps import Steps

FIRST_START_S = 900.0
"""The first import of numpy and a runtime takes a minute on an emulated board."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Versions of the distributions that are there, and the runtimes that do not load, with reasons."""

    versions: Mapping[str, str]
    broken: Mapping[str, str]


def try_runner(
    launch: SshLaunch, prepared: PreparedSet, runtimes: Sequence[Runtime], steps: Steps, profile: Profile
) -> Trial:
    """Start a runner from these parts, whether or not the board has switched to them, and load each runtime.

    Raises:
        UserError: no runner answers.
    """
    steps.stage(f"first start on {launch.device}: Python compiles what it loads, a minute on a slow board")
    start, broken = replace(launch, prepared=prepared.name), dict[str, str]()
    with ExitStack() as stack:
        runner = _first(start, stack)
        found = runner.hello().environment.get("packages", {})
        for one in runtimes:
            steps.stage(f"loading {one.name} on {launch.device}")
            if runner.ended:  # the last one took it along
                runner = stack.enter_context(_runner(start))
            if why := _broken(runner, one.name):
                broken[one.name] = why
        steps.note(f"meter of energy: {_meters(runner, profile)}")
    return Trial(versions={str(name): str(version) for name, version in dict(found).items()}, broken=broken)


def _first(launch: SshLaunch, stack: ExitStack) -> RunnerClient:
    try:
        return stack.enter_context(_runner(launch))
    except UserError as error:
        raise UserError(
            f"no runner starts from what was sent to {launch.device}",
            found=f"{error.problem}: {error.found}",
            remedy="run it again with `--again`; until a runner has answered, the board stays as it was",
        ) from error


def _runner(launch: SshLaunch) -> RunnerClient:
    return RunnerClient(launch, guard=Guard(open_s=FIRST_START_S))


def _broken(runner: RunnerClient, name: str) -> str:
    """Why a runtime does not load, "" where it does."""
    try:
        told = runner.available(name)
    except ParetuneError as error:
        return error.cause if isinstance(error, StageError) else str(error).splitlines()[0]
    return "" if told.installed else told.reason or "it is not installed there"


def _meters(runner: RunnerClient, profile: Profile) -> str:
    """The one that is taken, or why there is none."""
    try:
        found = seen(profile, ask_meters(runner, wish_of(profile)))
    except ParetuneError as error:
        return error.cause if isinstance(error, StageError) else str(error).splitlines()[0]
    return found.text if found.taken else f"none: {found.why}"


def shown(runtimes: Sequence[Runtime]) -> tuple[str, ...]:
    """The distributions whose versions are told: numpy and the first of each runtime."""
    return tuple(dict.fromkeys([NUMPY, *(name for one in runtimes for name in one.distributions[:1])]))
