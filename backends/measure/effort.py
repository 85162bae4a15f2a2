"""What a measurement takes on a device of such a pace, and a plan that fits into a given time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from .samples import LatencyPlan

_CALIBRATING = 6
"""Samples of each subject, before it is known how many runs one needs."""


def seconds_of(plan: LatencyPlan, runs_s: Sequence[float], processes: int = 1) -> float:
    """About how long it takes to measure subjects whose runs take so long. One of them, the reference, has so
    many processes, each of which is warmed up."""
    sample_s, block_s = zip(*(_block(plan, run_s) for run_s in runs_s), strict=True)
    warm_s = [min(2 * block, max(block, plan.warm_up_limit_s)) for block in block_s]
    fixed = _CALIBRATING * float(sum(sample_s)) + float(sum(warm_s)) + (processes - 1) * float(max(warm_s))
    fixed += plan.warm_up_s * len(runs_s)
    round_s = float(sum(block_s))
    rounds = min(plan.rounds, max(plan.min_rounds, int(plan.limit_s / max(round_s, 1e-9))))
    return float(fixed + rounds * round_s)


def fitted(plan: LatencyPlan, runs_s: Sequence[float], seconds: float, processes: int = 1) -> LatencyPlan:
    """The plan itself where it takes no longer than that, else with fewer rounds, but not below its fewest,
    else also with one sample a block: the briefest there is, however long it takes.

    Limits are powers of two, so that devices of nearly the same pace share a plan.
    """
    if seconds_of(plan, runs_s, processes) <= seconds:
        return plan
    tried = plan
    for brief in (plan, replace(plan, min_samples=1)):
        least = seconds_of(replace(brief, rounds=0, min_rounds=0), runs_s, processes)
        left = max(1.0, seconds - least)
        tried = replace(brief, limit_s=min(plan.limit_s, 2.0 ** math.floor(math.log2(left))))
        if seconds_of(tried, runs_s, processes) <= seconds:
            return tried
    return tried


def _block(plan: LatencyPlan, run_s: float) -> tuple[float, float]:
    """Seconds of a sample and of a block."""
    run_ms = max(run_s * 1e3, 1e-6)
    loops = max(1, math.ceil(plan.min_sample_ms / run_ms))
    sample_ms = loops * run_ms
    count = max(plan.min_samples, round(plan.block_ms / sample_ms))
    singles_ms = plan.block_ms / 2 if loops > 1 else 0.0
    return sample_ms / 1e3, (count * sample_ms + singles_ms) / 1e3
