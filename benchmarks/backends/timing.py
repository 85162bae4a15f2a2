"""Artifacts of one model timed side by side: wall time by the product's protocol, and processor time.

On a machine that others use too, much of the wall time is theirs. What a process itself spent on the
processor is not, so both ratios are given; where they differ, the machine was busy, or the runtime uses more
threads than it was given.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from paretune.backends.measure.environment import cpu_ticks
from paretune.backends.measure.latency import measure
from paretune.backends.measure.samples import REFERENCE, Block, LatencyPlan, Rounds
from paretune.backends.measure.spread import Spread, centre, signed_rank_interval, spread_among
from paretune.backends.measure.summary import summarize
from paretune.backends.runner.client import RunnerClient
from paretune.profiles.errors import StageError

A_A_ROUNDS = 15
_OF_A_PROCESS = 2  # CPUCLOCK_SCHED: time on the processor of all its threads, see clock_getcpuclockid(3)


class Watched:
    """A runner process, with what it spent on the processor for each answer, where the system tells."""

    def __init__(self, runner: RunnerClient) -> None:
        self._runner = runner
        self._clock = (~runner.hello().pid << 3) | _OF_A_PROCESS if sys.platform == "linux" else None
        self._spent: dict[tuple[int, ...], int] = {}

    def sample(self, loops: int, count: int) -> list[int]:
        before = self._now()
        taken = self._runner.sample(loops, count)
        self._spent[tuple(taken)] = self._now() - before
        return taken

    def per_run(self, block: Block, loops: int) -> float:
        """Nanoseconds of processor time of one run in a block; not a number where it is not known."""
        spent = self._spent.get(block.samples, 0)
        return spent / (loops * len(block.samples)) if spent else float("nan")

    def _now(self) -> int:
        return 0 if self._clock is None else time.clock_gettime_ns(self._clock)


def timed(
    subjects: Mapping[str, RunnerClient], reference: Sequence[RunnerClient], plan: LatencyPlan
) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Figures of each subject against the processes of the reference, all of them in the same rounds; and
    those of the reference itself.

    A subject that broke has the error as `failed`.
    """
    a_a = _against_itself(reference, plan)
    spread = spread_among(a_a)
    if not subjects:
        return {}, {"latency_ms": summarize(a_a, "process 0").latency_ms.value}
    watched = {name: Watched(runner) for name, runner in subjects.items()}
    base = [Watched(runner) for runner in reference]
    rounds = measure(watched, base, plan, ticks=cpu_ticks)
    spent = {name: _processor_time(rounds, name, [one]) for name, one in watched.items()}
    spent[REFERENCE] = _processor_time(rounds, REFERENCE, base)
    found = {name: _figures(rounds, name, spread, spent) for name in watched}
    about = {
        "latency_ms": summarize(rounds, REFERENCE, spread).latency_ms.value,
        "cpu_ms": float(np.median(spent[REFERENCE])) / 1e6 if len(spent[REFERENCE]) else None,
        "process_spread": spread.deviation if spread else None,
        "told_apart": spread.told_apart(plan) if spread else None,
        "rounds": len(rounds.order),
        "steal_share": rounds.steal_share,
    }
    return found, about


def _against_itself(reference: Sequence[RunnerClient], plan: LatencyPlan) -> Rounds:
    """Rounds that tell what processes of one artifact differ by here."""
    plan = replace(plan, rounds=min(plan.rounds, A_A_ROUNDS))
    return measure({f"process {i}": one for i, one in enumerate(reference)}, None, plan)


def _figures(
    rounds: Rounds, name: str, spread: Spread | None, spent: Mapping[str, NDArray[np.float64]]
) -> dict[str, Any]:
    if name in rounds.failed:
        return {"failed": StageError(*rounds.failed[name])}
    summary = summarize(rounds, name, spread)
    assert summary.ratio is not None
    return {
        "ratio": [summary.ratio.value, *summary.ratio.ends],
        "cpu_ratio": _ratio(spent[name], spent[REFERENCE]),
        "latency_ms": summary.latency_ms.value,
        "verdict": summary.verdict,
    }


def _processor_time(rounds: Rounds, name: str, processes: Sequence[Watched]) -> NDArray[np.float64]:
    """Of one run in each round."""
    if name in rounds.failed:
        return np.array([])
    series = rounds.series[name]
    return np.array([processes[block.process].per_run(block, series.loops) for block in series.blocks])


def _ratio(one: NDArray[np.float64], other: NDArray[np.float64]) -> list[float] | None:
    """Centre of the rounds' ratios with its interval; None where processor time is not told."""
    logs = np.log(one / other)
    if len(logs) == 0 or not np.isfinite(logs).all():
        return None
    middle, (low, high) = centre(logs), signed_rank_interval(logs)
    ends = (low, high) if np.isfinite([low, high]).all() else (middle, middle)
    return [float(np.exp(value)) for value in (middle, *ends)]
