"""What a stage on the device takes is seen before it begins: nothing is begun that cannot end in time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from ....backends.measure.effort import fitted, seconds_of
from ....backends.measure.samples import A_A_ROUNDS, WHERE_SLOW, LatencyPlan
from ....backends.measure.spread import FEWEST_PROCESSES
from ....backends.runner.client import RunnerClient
from ....profiles.words import duration, joined

MEASURING, OPENING = 0.05, 0.03
"""Of the budget of time, that one measurement may take, and that opening the reference's processes may."""
IN_FULL = 0.005
"""Of it, that a measurement in full takes at most while searching: where candidates are cheap, many of them
tell more than a few that are known closely. Finalists are measured again in any case."""
SOON_S, SLOW_MS = 1.0, 200.0
"""What takes less than the first by its first run is begun in any case; a model whose run takes less than the
second runs three times more to tell."""
PROBE_ROUNDS, ROUNDS_OF_PERCENTILES = 9, 40
PROBE_BLOCK_MS, PROBE_WARM_UP_S = 6.0, 0.1
HURRIED_BLOCK_MS, HURRIED_WARM_UP_S = 4.0, 0.05
"""Of a look that no recommendation hangs on, and of one for which there is hardly time: shorter blocks widen
its interval and leave it as honest."""

Afford = Callable[[float, str], None]
"""Told what is about to begin and its seconds; raises where there is no time for it."""


@dataclass(frozen=True, kw_only=True)
class ReferencePace:
    """Seconds of a run of the reference, and of opening a process of it; whether that is on this machine."""

    run_s: float = 0.0
    open_s: float = 0.0
    local: bool = True


def as_probe(plan: LatencyPlan, *, brief: bool = False) -> LatencyPlan:
    """The plan with fewer and shorter rounds, where no percentile needs many; a `brief` look is content with
    the least, also of a model that takes long for one run."""
    if not brief and plan.rounds >= ROUNDS_OF_PERCENTILES:
        return plan
    looked = replace(
        plan,
        rounds=min(plan.rounds, PROBE_ROUNDS),
        block_ms=min(plan.block_ms, PROBE_BLOCK_MS),
        warm_up_s=min(plan.warm_up_s, PROBE_WARM_UP_S),
    )
    return replace(looked, **WHERE_SLOW) if brief else looked


def _in_a_hurry(plan: LatencyPlan) -> LatencyPlan:
    """A look with the shortest blocks before which a process that has rested still runs a few samples."""
    if plan.rounds >= ROUNDS_OF_PERCENTILES:
        return plan
    return replace(
        plan,
        block_ms=min(plan.block_ms, HURRIED_BLOCK_MS),
        warm_up_s=min(plan.warm_up_s, HURRIED_WARM_UP_S),
    )


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
        for brief in (as_probe, _in_a_hurry):
            if seconds_of(found, (pace.run_s, pace.run_s)) > IN_FULL * self._seconds:
                found = brief(found)
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
        parts = []
        if found.processes < plan.processes:
            parts.append(f"{found.processes} instead of {plan.processes} processes of the reference")
        if found.rounds < plan.rounds:
            parts.append(
                f"brief looks ({found.rounds} rounds of {found.block_ms:g} ms instead of {plan.rounds})"
            )
        elif found.block_ms < plan.block_ms:
            parts.append(f"rounds of {found.block_ms:g} ms instead of {plan.block_ms:g} ms")
        if found.limit_s < plan.limit_s:
            parts.append(f"rounds for {found.limit_s:g} s ({plan.min_rounds} at least)")
        if found.min_samples < plan.min_samples:
            parts.append(f"{found.min_samples} instead of {plan.min_samples} samples in a block")
        if not parts:
            return ""
        run, opening = duration(self.pace.run_s), duration(self.pace.open_s)
        why = f"a run of the reference takes {run}, opening a process of it {opening}"
        return f"{joined(parts)}: {why}, the whole budget is {duration(self._seconds or 0.0)}"

    def before_measuring(self, runner: RunnerClient, first_ms: float, plan: LatencyPlan) -> None:
        """Interrupted where there is no time for it."""
        brief = replace(plan, rounds=min(plan.rounds, A_A_ROUNDS))
        self._look(
            "measuring it", runner, first_ms, lambda run_s: seconds_of(brief, (run_s, self.pace.run_s))
        )

    def before_scoring(self, runner: RunnerClient, first_ms: float, rows: int, batch: int) -> None:
        """Interrupted where there is no time for it."""
        batches = math.ceil(rows / batch)
        self._look(f"scoring it on {rows} samples", runner, first_ms, lambda run_s: batches * run_s)

    def _look(
        self, what: str, runner: RunnerClient, first_ms: float, seconds: Callable[[float], float]
    ) -> None:
        if self._seconds is not None and seconds(first_ms / 1e3) > SOON_S:
            self._afford(seconds(run_seconds(runner, first_ms)), what)


def run_seconds(runner: RunnerClient, first_ms: float) -> float:
    """Seconds of a run, once the runtime is ready: it prepares itself in the first."""
    more = runner.sample(1, 1 if first_ms > SLOW_MS else 3)
    return min(first_ms, *(nanoseconds / 1e6 for nanoseconds in more)) / 1e3
