"""What windows of a meter mean: energy of one inference above idle and in all, with a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ...profiles.quantity import Quantity
from ..measure.spread import Spread, student
from .meter import MeterFacts
from .windows import MeterWindows

MOST_DRIFT = 0.10
"""Of what inference draws above idle: idle windows on its two sides may differ by so much."""
QUIET = "quiet"


@dataclass(frozen=True, kw_only=True)
class EnergySummary:
    """Energy of one inference. `above_mj` is None where it cannot be told from idle, and `untold` says why.
    `verdict` is "quiet" or "not quiet: ..."."""

    above_mj: Quantity | None
    in_all_mj: Quantity
    idle_w: float
    verdict: str
    untold: str = ""


def summarized(
    windows: MeterWindows, facts: MeterFacts, batch: int, spread: Spread | None = None
) -> EnergySummary:
    """Of one sample: a run of a batch of eight is eight inferences. Each window at work counts once, less
    what its two idle neighbours draw; the interval is Student's over these windows, widened by what processes
    of one artifact were found to differ by (`spread`)."""
    idle = [window.watts for window in windows.idle]
    beside = [(before + after) / 2 for before, after in pairwise(idle)]
    work = windows.work
    samples = [window.runs * batch for window in work]
    in_all = [1e3 * one.joules / count for one, count in zip(work, samples, strict=True)]
    at_rest = [1e3 * watts * one.seconds / n for watts, one, n in zip(beside, work, samples, strict=True)]
    above = [all_of - rest for all_of, rest in zip(in_all, at_rest, strict=True)]
    how = f"{facts.title}, {len(work)} windows of {work[0].seconds:.2g} s between idle ones"
    found, whole = _mean(above, spread, f"above idle, {how}"), _mean(in_all, spread, f"in all, {how}")
    drawn = float(np.mean([one.watts - watts for one, watts in zip(work, beside, strict=True)]))
    rest_w = float(np.mean(idle))
    if found.low is None or found.low <= 0:
        half = (found.high or 0.0) - found.value
        return EnergySummary(
            above_mj=None,
            in_all_mj=whole,
            idle_w=rest_w,
            verdict=QUIET,
            untold=f"not distinguishable from idle: {found.value:.3g} ± {half:.2g} mJ by {facts.title}, "
            f"which tells {rest_w:.3g} W at rest",
        )
    return EnergySummary(above_mj=found, in_all_mj=whole, idle_w=rest_w, verdict=_verdict(idle, drawn, facts))


def _mean(values: Sequence[float], spread: Spread | None, how: str) -> Quantity:
    middle = float(np.mean(values))
    noise = student(len(values)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    half = math.hypot(noise, abs(middle) * math.expm1(spread.half(1)) if spread else 0.0)
    return Quantity(value=middle, low=middle - half, high=middle + half, how=how)


def _verdict(idle: Sequence[float], drawn: float, facts: MeterFacts) -> str:
    moved = max(abs(after - before) for before, after in pairwise(idle))
    if moved <= MOST_DRIFT * drawn:
        return QUIET
    return (
        f"not quiet: at rest, {facts.rail} moved by {moved:.3g} W between two windows, "
        f"{100 * moved / drawn:.0f} % of what inference draws"
    )
