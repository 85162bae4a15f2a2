"""Whether memory stays where it is while a model runs again and again: steady, or a leak."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from .memory import exact_resident_bytes

WINDOWS, ALIKE = 12, 4
"""Memory is read after each of so many parts of the runs; it is steady where so many in a row are alike."""
TRIFLE_BYTES = 128 * 1024
"""Less is what an allocator takes at its own convenience."""
_MOST_RUNS = 100_000
_GROWS = 0.75  # of the steps of the later half that a leak takes upwards, at least


def settled(
    run: Callable[[], object],
    seconds: float,
    resident: Callable[[], int] = exact_resident_bytes,
    clock: Callable[[], float] = time.perf_counter,
) -> Mapping[str, Any]:
    """Run for at most so many seconds, until the memory has stopped growing.

    `runs` is how many there were, `settled` whether it has stopped, `growth_bytes` what each run adds where
    it grew steadily to the end: a leak (0: it did not).
    """
    began = clock()
    run()
    once = max(clock() - began, 1e-6)
    part = max(1, min(_MOST_RUNS // WINDOWS, int(seconds / WINDOWS / once)))
    seen, runs = [resident()], 1
    while not _alike(seen) and clock() - began < seconds and runs < _MOST_RUNS:
        for _ in range(part):
            run()
        runs += part
        seen.append(resident())
    return {"runs": runs, "settled": _alike(seen), "growth_bytes": _growth(seen, part)}


def _alike(seen: Sequence[int]) -> bool:
    last = seen[-ALIKE:]
    return len(last) == ALIKE and max(last) - min(last) <= TRIFLE_BYTES


def _growth(seen: Sequence[int], part: int) -> float:
    """Bytes that each run adds, by the later half of the readings; 0 where it is no steady growth."""
    later = seen[len(seen) // 2 :]
    steps = [after - before for before, after in pairwise(later)]
    gained = later[-1] - later[0]
    if len(steps) < ALIKE or gained <= TRIFLE_BYTES:
        return 0.0
    rising = sum(step > 0 for step in steps)
    return gained / (len(steps) * part) if rising >= _GROWS * len(steps) else 0.0
