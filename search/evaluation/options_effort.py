"""What trying options takes, and how much of the time that is left it may have."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ...backends.measure.effort import seconds_of
from ...backends.measure.samples import WHERE_SLOW, LatencyPlan
from ...profiles.precision import Precision
from ..ranking.known import trial_of
from ..record.evaluation import StudyRecord
from ..record.options import Axis
from ..record.setting import Setting
from ..stages.chain import Chain

ROUNDS = 15
"""Of the measurements in which settings are searched: what gains a few per cent is seen in them."""
SHARE = 0.5
"""Of the time that is left for finalists, that options may have."""
_MORE = 2
"""Of what is measured alone, so many times as much in all: gains together, and beside the default afresh."""


@dataclass(frozen=True, kw_only=True)
class OptionsAsked:
    """What is tried: `axes` of a runtime's model at a precision beside a setting, `batches` beside the usual
    one. `left_out` says what of the study file is not tried at all, and why."""

    axes: Callable[[str, Precision, Setting], tuple[Axis, ...]]
    batches: tuple[int, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TryPace:
    """Seconds of a run of each finalist by its number, and of opening a process."""

    runs_s: Mapping[int, float]
    open_s: float
    plan: LatencyPlan

    @classmethod
    def of(cls, runs_s: Mapping[int, float], open_s: float, plan: LatencyPlan) -> TryPace:
        """Where a study measures by this plan."""
        brief = replace(plan, rounds=ROUNDS, enough_share=0.0, processes=1, **WHERE_SLOW)
        return cls(runs_s=runs_s, open_s=open_s, plan=brief)

    def seconds(self, number: int, settings: int) -> float:
        """Of measuring so many settings of a finalist beside its default and the reference, once."""
        run_s = self.runs_s[number]
        return (settings + 2) * self.open_s + seconds_of(self.plan, [run_s] * (settings + 2))

    def in_all(self, settings: int, seconds: float) -> float:
        """Seconds that all finalists may have for so many settings each, of those that are left: without an
        end, where there is none."""
        wanted = _MORE * sum(self.seconds(number, settings) for number in self.runs_s)
        return min(wanted, SHARE * seconds) if math.isfinite(seconds) else math.inf


@dataclass(frozen=True, kw_only=True)
class Tries:
    """What is tried, and the seconds that it may take."""

    asked: OptionsAsked
    pace: TryPace
    seconds: float


def tries_for(
    record: StudyRecord, numbers: tuple[int, ...], chain: Chain, asked: OptionsAsked, seconds: float
) -> Tries:
    """What is tried of these finalists, of so many seconds that are left for them."""
    usual, found = chain.device.deployment.usual, {n: trial_of(record, n).evaluation for n in numbers}
    runs = {number: one.metrics["latency_ms"].value / 1e3 for number, one in found.items()}
    pace = TryPace.of(runs, chain.device.effort.pace.open_s, chain.device.plan)
    counts = [
        sum(len(axis.values) for axis in asked.axes(c.backend, c.precision, usual))
        for c in (one.candidate for one in found.values())
    ]
    return Tries(asked=asked, pace=pace, seconds=pace.in_all(max(counts, default=0), seconds))
