"""The devices of a pool, asked who they are before a study begins: which of them it can use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from ...backends.runner.trouble import UnreachableError
from ...profiles.packages import differing
from .job import Job
from .reached import Reached, left_out


def reached_pool(job: Job) -> Reached:
    """All devices of the job's pool, asked at the same time: the first that answers, with the names of those
    that are like it and remarks on all of them. One that cannot be reached is left out, and so is one whose
    kernels compute otherwise than those of the first, as a score belongs to how a device computes. Where
    there is no pool, the one device.

    Raises:
        UserError: none can be reached (the error of the first), or one is no device of the profile.
    """

    def asked(device: str) -> Reached:
        return job.reached(to_measure=True, device=device)

    return _alike(job.profile.pool, asked) if job.profile.pool else asked("")


def _alike(names: Sequence[str], asked: Callable[[str], Reached]) -> Reached:
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
    alike = {name: one for name, one in found.items() if one.instructions == first.instructions}
    remarks += [_otherwise(name, first) for name in found if name not in alike]
    remarks += [text for one in alike.values() if (text := _versions(one, first))]
    remarks += [f"{name}: {remark}" for name, one in alike.items() for remark in one.remarks]
    return replace(first, alike=tuple(alike), remarks=tuple(remarks))


def _otherwise(name: str, first: Reached) -> str:
    return (
        f"{name} has other instruction sets than {first.device}, so that its kernels compute otherwise: it "
        "is left out; give it a profile of its own"
    )


def _versions(one: Reached, first: Reached) -> str:
    """What is installed there in another version: its measurements are kept apart from those of the first."""
    of_first, there = (device.environment.get("packages") or {} for device in (first, one))
    named = [
        f"{n} {own}, {other} on {first.device}" for n, (other, own) in differing(of_first, there).items()
    ]
    return f"{one.device} has other versions: {'; '.join(named)}" if named else ""
