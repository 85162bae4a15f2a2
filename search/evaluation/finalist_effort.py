"""How thoroughly finalists are checked, where there is no time left for all that is wanted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...backends.measure.effort import fitted, seconds_of
from ...backends.measure.samples import LatencyPlan
from ...backends.measure.spread import FEWEST_PROCESSES
from ...profiles.words import joined

SCORING, MEASURING, OPENING = 0.5, 0.8, 0.3
"""Of the time that is left, what scoring may take; of what is left then, what measuring may, and in it the
opening of several processes."""
LEAST_SAMPLES = 32
"""Of the test split, however slow the device."""


@dataclass(frozen=True, kw_only=True)
class FinalistPace:
    """What is known of the finalists and the reference on the device: seconds of a run of each, and of
    opening one. `local`: each finalist is measured in as many processes as the reference."""

    runs_s: Sequence[float]
    open_s: float
    batch: int
    local: bool

    def scoring_s(self, samples: int) -> float:
        """Seconds of scoring all of them on so many samples."""
        return len(self.runs_s) * self.open_s + math.ceil(samples / self.batch) * sum(self.runs_s)


@dataclass(frozen=True, kw_only=True)
class Thoroughness:
    """How many samples of the test split are scored (the `first` ones; 0: all), and how is measured.
    `shortened` says what is less than was wanted."""

    first: int
    plan: LatencyPlan
    shortened: str = ""


def effort_within(seconds: float, pace: FinalistPace, plan: LatencyPlan, samples: int) -> Thoroughness:
    """The effort that ends in so many seconds, as far as the least of it does."""
    if not math.isfinite(seconds):
        return Thoroughness(first=0, plan=plan)
    first = _first(seconds * SCORING, pace, samples)
    left = seconds - pace.scoring_s(first or samples)
    processes = _processes(left, pace, plan.processes)
    opened = pace.open_s * len(pace.runs_s) * (processes if pace.local else 1)
    found = fitted(replace(plan, processes=processes), pace.runs_s, MEASURING * left - opened, processes)
    parts = []
    if first:
        parts.append(f"scored on the first {first} of {samples} test samples")
    if found.limit_s < plan.limit_s or found.min_samples < plan.min_samples:
        parts.append(f"measured for about {seconds_of(found, pace.runs_s, processes):.0f} s")
    if processes < plan.processes:
        many = f"{processes} processes" if processes > 1 else "one process"
        whose = "each" if pace.local else "of the reference"
        parts.append(f"measured with {many} {whose} instead of {plan.processes}")
    said = f"finalists were {joined(parts)}: {seconds:.0f} s of the budget were left for them"
    return Thoroughness(first=first, plan=found, shortened=said if parts else "")


def _first(seconds: float, pace: FinalistPace, samples: int) -> int:
    """How many samples can be scored in that time; 0 where all can."""
    if pace.scoring_s(samples) <= seconds:
        return 0
    batches = (seconds - pace.scoring_s(0)) / max(sum(pace.runs_s), 1e-9)
    found = max(LEAST_SAMPLES, int(batches) * pace.batch)
    return found if found < samples else 0


def _processes(seconds: float, pace: FinalistPace, wanted: int) -> int:
    each = pace.open_s * (len(pace.runs_s) if pace.local else 1)
    for processes in (wanted, FEWEST_PROCESSES):
        if processes <= wanted and (processes - 1) * each <= OPENING * seconds:
            return processes
    return 1
