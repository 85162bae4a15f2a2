"""What a stage on the device takes is seen before it begins: nothing is begun that cannot end in time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from ....backends.measure.effort import fitted, seconds_of
from ....backends.measure.samples import A_A_ROUNDS, LatencyPlan
from ....backends.measure.spread import FEWEST_PROCESSES
from ....backends.runner.client import RunnerClient
from ....profiles.words import duration, joined

MEASURING, OPENING = 0.05, 0.1
"""Of the budget of time, that one measurement may take, and that opening the reference's processes may."""
LONG_MS = 20.0
"""A first run longer than that is followed by another one: runtimes prepare themselves in the first."""

Afford = Callable[[float, str], None]
"""Told what is about to begin and its seconds; raises where there is no time for it."""


@dataclass(frozen=True, kw_only=True)
class ReferencePace:
    """Seconds of a run of the reference, and of opening a process of it; whether that is on this machine."""

    run_s: float = 0.0
    open_s: float = 0.0
    local: bool = True


class Effort:
    """Fits measuring to the budget of a study, `seconds` (None: no end), and to the pace of its device; tells
    what is less than was asked for."""

    def __init__(
        self,
        seconds: float | None = None,
        afford: Afford = lambda seconds, what: None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._seconds, self._afford, self._tell = seconds, afford, tell
        self.pace = ReferencePace()
        self.shortened = ""

    def of_reference(self, plan: LatencyPlan, pace: ReferencePace) -> LatencyPlan:
        """The plan for everything that is measured against a reference of that pace; `shortened` says what is
        less than was asked for."""
        self.pace, self.shortened = pace, ""
        if self._seconds is None:
            return plan
        opened = self._opened(plan.processes, pace.open_s)
        found = fitted(plan, (pace.run_s, pace.run_s), MEASURING * self._seconds, opened)
        found = replace(found, processes=opened)
        self.shortened = self._said(plan, found)
        if self.shortened:
            self._tell(f"measured with {self.shortened}")
        return found

    def _opened(self, wanted: int, open_s: float) -> int:
        most = OPENING * (self._seconds or math.inf)
        for processes in (wanted, FEWEST_PROCESSES):
            if processes <= wanted and (processes - 1) * open_s <= most:
                return processes
        return 1

    def _said(self, plan: LatencyPlan, found: LatencyPlan) -> str:
        if found == plan:
            return ""
        parts = []
        if found.processes < plan.processes:
            parts.append(f"{found.processes} instead of {plan.processes} processes of the reference")
        if found.limit_s < plan.limit_s:
            parts.append(f"rounds for {found.limit_s:g} s ({plan.min_rounds} at least)")
        if found.min_samples < plan.min_samples:
            parts.append(f"{found.min_samples} instead of {plan.min_samples} samples in a block")
        run, opening = duration(self.pace.run_s), duration(self.pace.open_s)
        why = f"a run of the reference takes {run}, opening a process of it {opening}"
        return f"{joined(parts)}: {why}, the whole budget is {duration(self._seconds or 0.0)}"

    def before_measuring(self, runner: RunnerClient, first_ms: float, plan: LatencyPlan) -> None:
        """Interrupted where there is no time for it."""
        runs = (run_seconds(runner, first_ms), self.pace.run_s)
        self._afford(seconds_of(replace(plan, rounds=min(plan.rounds, A_A_ROUNDS)), runs), "measuring it")

    def before_scoring(self, runner: RunnerClient, first_ms: float, rows: int, batch: int) -> None:
        """Interrupted where there is no time for it."""
        seconds = math.ceil(rows / batch) * run_seconds(runner, first_ms)
        self._afford(seconds, f"scoring it on {rows} samples")


def run_seconds(runner: RunnerClient, first_ms: float) -> float:
    """Seconds of a run, once the runtime is ready."""
    return (first_ms if first_ms < LONG_MS else min(first_ms, runner.sample(1, 1)[0] / 1e6)) / 1e3
