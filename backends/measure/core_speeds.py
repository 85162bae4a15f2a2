"""How fast the cores of a machine are, by a fixed piece of work on each of them.

What the kernel says of capacities and clocks leaves out what else runs: a core whose sibling is busy, or that
somebody else has, is slower. numpy and stdlib only.
"""

from __future__ import annotations

import os
import random
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from .cores import ALIKE, SYSTEM, chosen_cores, told_speed

LIMIT_S = 1.0
_CHUNKS, _CHUNK_S, _WAKE_S = 6, 0.001, 0.01
_FEWEST_ROUNDS, _MOST_ROUNDS, _MOST_CORES = 2, 5, 40
_LENGTH, _LEAST_LOOPS = 2048, 8
_FREE, _TAKEN = 0.9, 0.7
"""A core that leaves less of its time than the latter is somebody else's, where others leave the first."""


@dataclass(frozen=True, kw_only=True)
class OnCore:
    """A piece of work on a core: its quickest part in seconds, and the share of the time that it ran."""

    seconds: float
    share: float = 1.0


Timed = Callable[[int, int], OnCore | None]
"""A piece of so many loops on a core; None where nothing can be held on it."""


def core_speeds(
    allowed: Collection[int],
    timed: Timed | None = None,
    system: Path = SYSTEM,
    limit_s: float = LIMIT_S,
) -> dict[int, float]:
    """Share of the fastest core's speed, by core; empty where a process cannot choose, or has no choice.

    Each core has its piece in every round, in random order, and its quickest counts. Of more than 40 cores
    some of each kind are timed; the others of that kind count as they do.
    """
    if timed is None and not hasattr(os, "sched_setaffinity"):
        return {}
    kinds = _kinds(allowed, system)
    there = [core for kind in kinds for core in kind[-(_MOST_CORES // len(kinds) or 1) :]]
    if len(there) < 2:
        return {}
    if timed is not None:
        return _for_all(kinds, _speeds(there, timed, limit_s))
    before = os.sched_getaffinity(0)
    try:
        return _for_all(kinds, _speeds(there, _Piece(system), limit_s))
    finally:
        with suppress(OSError):  # one of them was switched off meanwhile
            os.sched_setaffinity(0, before)


@dataclass(frozen=True, kw_only=True)
class FastestCores:
    """Which cores so many threads are held on, and the share of the fastest core's speed of each that was
    timed (none: there was nothing to choose)."""

    cores: tuple[int, ...] = ()
    speeds: Mapping[int, float] = field(default_factory=dict)

    @property
    def differ(self) -> bool:
        """Whether the speeds differ by more than noise."""
        return min(self.speeds.values(), default=1.0) < 1 - ALIKE


def fastest_cores(threads: int) -> FastestCores:
    """Of those that this process may use; none where it cannot choose."""
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_setaffinity") else set[int]()
    speeds = core_speeds(allowed) if threads < len(allowed) else {}
    return FastestCores(cores=chosen_cores(threads, allowed, speeds=speeds), speeds=speeds)


def told(body: Mapping[str, Any]) -> dict[str, Any]:
    """What a runner answers to "cores"."""
    found = fastest_cores(int(body["threads"]))
    return {"cores": list(found.cores), "speeds": {str(core): one for core, one in found.speeds.items()}}


def _kinds(allowed: Iterable[int], system: Path) -> list[list[int]]:
    """Cores that the kernel tells the same of."""
    found = defaultdict[tuple[int, int], list[int]](list)
    for core in sorted(allowed):
        found[told_speed(core, system)].append(core)
    return list(found.values())


def _speeds(cores: list[int], timed: Timed, limit_s: float) -> dict[int, float]:
    """Parts a second, of those cores that could be timed to the end; less where a core is somebody else's."""
    until, rng = time.perf_counter() + limit_s, random.Random(0)
    seen: dict[int, list[OnCore]] = {core: [] for core in cores}
    loops, left = _loops(cores, timed), list(cores)
    for number in range(_MOST_ROUNDS):
        for core in rng.sample(left, len(left)):
            found = timed(core, loops)
            if found is None:  # switched off meanwhile
                left.remove(core)
            else:
                seen[core].append(found)
        speeds = {core: 1 / max(1e-9, min(one.seconds for one in seen[core])) for core in left}
        enough = (
            number + 1 >= _FEWEST_ROUNDS and speeds and min(speeds.values()) > 0.98 * max(speeds.values())
        )
        if enough or time.perf_counter() > until:
            break
    shares = {core: median(one.share for one in seen[core]) for core in left}
    somebody_elses = [core for core in left if shares[core] < _TAKEN and max(shares.values()) > _FREE]
    return speeds | {core: speeds[core] * shares[core] for core in somebody_elses}


def _loops(cores: list[int], timed: Timed) -> int:
    """So many that a part takes a millisecond."""
    loops = _LEAST_LOOPS
    for core in reversed(cores):
        while (found := timed(core, loops)) is not None and found.seconds < _CHUNK_S / 2 and loops < 10**6:
            loops = max(loops + 1, min(10 * loops, round(loops * _CHUNK_S / max(found.seconds, 1e-9))))
        if found is not None:
            break
    return loops


def _for_all(kinds: list[list[int]], speeds: Mapping[int, float]) -> dict[int, float]:
    """As shares of the largest; those left out for their number count as the middle of their kind."""
    best, found = max(speeds.values(), default=1.0), dict[int, float]()
    most = _MOST_CORES // len(kinds) or 1
    for kind in kinds:
        seen = {core: speeds[core] for core in kind if core in speeds}
        if len(kind) > most and seen:
            seen = dict.fromkeys(kind[:-most], median(seen.values())) | seen
        found |= {core: round(speed / best, 3) for core, speed in seen.items()}
    return found


class _Piece:
    """The work, held on a core; where clocks change, it first wakes the core up."""

    def __init__(self, system: Path) -> None:
        self._system = system

    def __call__(self, core: int, loops: int) -> OnCore | None:
        try:
            os.sched_setaffinity(0, {core})
        except OSError:  # switched off, or forbidden
            return None
        _work(loops)
        if (self._system / f"cpu{core}" / "cpufreq").is_dir():
            until = time.perf_counter() + _WAKE_S
            while time.perf_counter() < until:
                _work(loops)
        start, used, parts = time.perf_counter(), time.thread_time(), []
        for _ in range(_CHUNKS):
            before = time.perf_counter()
            _work(loops)
            parts.append(time.perf_counter() - before)
        ran, passed = time.thread_time() - used, time.perf_counter() - start
        return OnCore(seconds=min(parts), share=min(1.0, ran / max(passed, 1e-9)))


def _work(loops: int) -> None:
    """In the first cache, in one thread, with some of the interpreter in it."""
    values = np.linspace(0.1, 1.0, _LENGTH, dtype=np.float32)
    taken = np.empty_like(values)
    for _ in range(loops):
        np.sqrt(values, out=taken)
        np.multiply(taken, values, out=taken)
        np.add(taken, values, out=taken)
