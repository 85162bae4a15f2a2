"""Several artifacts measured against each other and the reference, in the same rounds."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from types import MappingProxyType

from ....backends.measure.samples import REFERENCE, LatencyPlan, Rounds
from ....backends.runner.client import RunnerClient
from ....profiles.errors import StageError, UnsupportedError
from ...record.setting import Setting
from ...store.store import Entry
from .again import Again, from_outside
from .memory_seen import memory_seen
from .runners import Runners, several_fit


def interleaved(
    runners: Runners,
    again: Again,
    artifacts: Mapping[str, tuple[Entry, str]],
    plan: LatencyPlan,
    settings: Mapping[str, Setting] = MappingProxyType({}),
    *,
    memory: bool = False,
) -> Rounds:
    """`artifacts` are with their backends, by the names that they have in the rounds; one may stand there
    several times. `settings` are those of all that are not run as usual, by the same names. With `memory`,
    they are asked what they take, too.

    On this machine each is loaded in several processes, so that the interval covers how much processes
    of one artifact differ. On another device that would take long: there only the reference is.
    """

    def once() -> tuple[Rounds, bool]:
        return _interleaved(runners, artifacts, plan, settings, memory=memory)

    found, killed = again.tried(once)
    return again.tried(once)[0] if killed else found


def _interleaved(
    runners: Runners,
    artifacts: Mapping[str, tuple[Entry, str]],
    plan: LatencyPlan,
    settings: Mapping[str, Setting],
    *,
    memory: bool,
) -> tuple[Rounds, bool]:
    """The rounds, and whether something from outside ended one of the processes meanwhile."""
    everyone = {**artifacts, REFERENCE: runners.reference}
    sizes = [entry.meta["artifact"]["size_bytes"] for entry, _ in everyone.values()]
    several = runners.launch.shares_files and several_fit(sizes, plan.processes)
    with runners.lease.held(), ExitStack() as stack:
        if several:
            runners.close_reference()
        else:
            everyone.pop(REFERENCE)
        subjects, failed = _opened(runners, everyone, settings, plan.processes if several else 1, stack)
        reference = subjects.pop(REFERENCE, None) or runners.reference_runners(plan.processes)
        found = runners.timed(subjects, reference, plan)
        if memory:
            found = replace(found, memory=memory_seen({**subjects, REFERENCE: reference}, found.failed))
        killed = any(from_outside(one.ended) for those in subjects.values() for one in those)
        return replace(found, failed={**found.failed, **failed}), killed


def _opened(
    runners: Runners,
    everyone: Mapping[str, tuple[Entry, str]],
    settings: Mapping[str, Setting],
    processes: int,
    stack: ExitStack,
) -> tuple[dict[str, list[RunnerClient]], dict[str, tuple[str, str, str]]]:
    """So many processes of each artifact, and why those that do not open do not.

    Raises:
        StageError: none opens, the reference does not, or something from outside ended one.
    """
    subjects: dict[str, list[RunnerClient]] = {}
    failed: dict[str, tuple[str, str, str]] = {}
    for name, (compiled, backend) in everyone.items():
        try:
            how = settings.get(name)
            opened = [
                stack.enter_context(runners.opened(compiled, backend, how)[0]) for _ in range(processes)
            ]
        except StageError as error:
            if error.outside or name == REFERENCE:
                raise
            failed[name] = (error.stage, error.cause, error.log)
        except UnsupportedError as error:  # the runtime does not take what it was told
            failed[name] = ("open", error.reason, "")
        else:
            subjects[name] = opened
    if not subjects.keys() - {REFERENCE}:
        raise StageError(*next(iter(failed.values())))
    return subjects, failed
