"""The devices of a pool, asked who they are before a study begins: which of them it can use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from ...backends.runner.trouble import UnreachableError
from ...profiles.packages import differing
from .job import Job
from .reached import Reached, left_out

Asked = Callable[[str], Reached]


@dataclass(frozen=True, kw_only=True)
class PoolReached:
    """The devices that a study can use, the first of them as it describes all, and remarks on the others."""

    first: Reached
    devices: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def reached_pool(job: Job) -> PoolReached:
    """All devices of the job's profile, asked at the same time. One that cannot be reached is left out, as is
    one whose kernels compute otherwise than those of the first: a score belongs to how a device computes. A
    profile without a pool has the one device, without a name.

    Raises:
        UserError: none can be reached (the error of the first), or one is no device of the profile.
    """

    def asked(device: str) -> Reached:
        return job.reached(to_measure=True, device=device)

    names = job.profile.pool
    return _alike(names, asked) if names else PoolReached(first=asked(""), devices=())


def _alike(names: Sequence[str], asked: Asked) -> PoolReached:
    found, remarks, away = dict[str, Reached](), list[str](), list[UnreachableError]()
    with ThreadPoolExecutor(len(names)) as threads:
        waiting = {name: threads.submit(asked, name) for name in names}
        for name, answer in waiting.items():
            try:
                found[name] = answer.result()
            except UnreachableError as error:
                away.append(error)
                remarks.append(left_out(error))
    if not found:
        raise away[0]
    first = next(iter(found.values()))
    alike = {name: one for name, one in found.items() if one.instructions == first.instructions}
    remarks += [_otherwise(name, first) for name in found if name not in alike]
    remarks += [text for one in alike.values() if (text := _versions(one, first))]
    named = [f"{name}: {remark}" for name, one in alike.items() for remark in one.remarks]
    return PoolReached(first=first, devices=tuple(alike), remarks=(*remarks, *named))


def _otherwise(name: str, first: Reached) -> str:
    return (
        f"{name} has other instruction sets than {first.device}, so that its kernels compute otherwise: it "
        "is left out; give it a profile of its own"
    )


def _versions(one: Reached, first: Reached) -> str:
    """What is installed there in another version: its measurements are kept apart from those of the first."""
    told: list[Mapping[str, str]] = [device.environment.get("packages") or {} for device in (first, one)]
    differs = differing(told[0], told[1])
    named = "; ".join(f"{name} {there}, {here} on {first.device}" for name, (here, there) in differs.items())
    return f"{one.device} has other versions: {named}" if named else ""
