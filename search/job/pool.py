"""The devices of a pool, asked who they are before a study begins: which of them it can use."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from ...backends.registry import get_backend
from ...backends.runner.trouble import UnreachableError
from ...profiles.packages import differing
from .job import Job
from .reached import Reached, left_out


def reached_pool(job: Job) -> Reached:
    """All devices of the job's pool, asked at the same time: the first that answers, with the names of those
    that are like it and remarks on all of them. One that cannot be reached is left out, and so is one that
    has other instruction sets or versions of the job's runtimes than the first: a score belongs to those.
    Where there is no pool, the one device.

    Raises:
        UserError: none can be reached (the error of the first), or one is no device of the profile.
    """

    def asked(device: str) -> Reached:
        return job.reached(to_measure=True, device=device)

    if not job.profile.pool:
        return asked("")
    runtimes = {name for one in job.space.backends for name in get_backend(one.name).packages}
    return _alike(job.profile.pool, asked, runtimes)


def _alike(names: Sequence[str], asked: Callable[[str], Reached], runtimes: Collection[str]) -> Reached:
    found, remarks, away = dict[str, Reached](), list[str](), list[UnreachableError]()
    with ThreadPoolExecutor(len(names)) as threads:
        for name, answer in [(name, threads.submit(asked, name)) for name in names]:
            try:
                found[name] = answer.result()
            except UnreachableError as error:
                away.append(error)
                remarks.append(left_out(error))
    if not found:
        raise away[0]
    first = next(iter(found.values()))
    unlike = {name: why for name, one in found.items() if (why := _unlike(one, first, runtimes))}
    remarks += [f"{name} is left out: {why}" for name, why in unlike.items()]
    alike = {name: one for name, one in found.items() if name not in unlike}
    remarks += [f"{name}: {remark}" for name, one in alike.items() for remark in one.remarks]
    return replace(first, alike=tuple(alike), remarks=tuple(remarks))


def _unlike(one: Reached, first: Reached, runtimes: Collection[str]) -> str:
    """Why a device does not compute as the first one; empty where it does."""
    if one.instructions != first.instructions:
        return f"it has other instruction sets than {first.device}; give it a profile of its own"
    of_first, there = (device.environment.get("packages") or {} for device in (first, one))
    others = {name: both for name, both in differing(of_first, there).items() if name in runtimes}
    named = "; ".join(f"{name} {own}, {other} on {first.device}" for name, (other, own) in others.items())
    return f"it has other versions ({named}): `paretune devices setup` brings all the same" if named else ""
