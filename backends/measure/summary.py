"""What the raw samples of an interleaved measurement mean: latency, ratio, intervals, and a verdict.

Every interval holds 95 %. It comes from values of whole rounds, never of single runs, which resemble their
neighbours. docs/measurement.md says why these estimators were chosen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...profiles.errors import StageError
from ...profiles.quantity import Quantity, stability
from .samples import REFERENCE, Block, LatencyPlan, Rounds, Series
from .spread import (
    FEWEST_PROCESSES,
    Spread,
    centre,
    signed_rank_interval,
    student,
    take_turns,
    widened_by,
)

Values = NDArray[np.float64]

P90_SAMPLES, P99_SAMPLES = 64, 662  # MLPerf LoadGen's least numbers for 99 % confidence
_ENOUGH_ROUNDS = 9
_WIDEST_SHARE, _MOST_DRIFT, MOST_STEAL = 0.05, 0.10, 0.05


@dataclass(frozen=True, kw_only=True)
class LatencySummary:
    """One subject's figures.

    `latency_ms` is the typical latency of a run, `ratio` its undisturbed latency over that of the reference
    in the same rounds (below 1 is faster), `minimum_ms` the least of all samples. `p90_ms` and `p99_ms` are
    None unless there are enough samples that are independent enough (`p90_samples` and `p99_samples` say to
    how many independent ones they amount). `verdict` is "stable", "noisy because ..." or "too few rounds
    ...".
    """

    latency_ms: Quantity
    minimum_ms: Quantity
    p90_ms: Quantity | None
    p99_ms: Quantity | None
    ratio: Quantity | None
    verdict: str
    rounds: int
    p90_samples: int
    p99_samples: int


def summarize(rounds: Rounds, name: str, spread: Spread | None = None) -> LatencySummary:
    """Figures of one subject. `spread` is what processes of one artifact were found to differ by.

    Raises:
        StageError: the subject broke during the measurement.
    """
    series = _series(rounds, name)
    with_reference = REFERENCE in rounds.series and name != REFERENCE
    ratio = compare(rounds, name, REFERENCE, spread) if with_reference else None
    medians = np.log(_per_round(series, np.median))
    known = spread or _assumed(rounds.plan)
    latency = _single(medians, known, 1) if series.processes < FEWEST_PROCESSES else _several(medians, series)
    (p90, p90_samples), (p99, p99_samples) = (_percentile(series, share, known) for share in (0.90, 0.99))
    return LatencySummary(
        latency_ms=latency,
        minimum_ms=_minimum(series, known),
        p90_ms=p90 if p90_samples >= P90_SAMPLES else None,
        p99_ms=p99 if p99_samples >= P99_SAMPLES else None,
        ratio=ratio,
        verdict=_verdict(rounds, series, ratio or latency),
        rounds=len(series.blocks),
        p90_samples=p90_samples,
        p99_samples=p99_samples,
    )


def compare(rounds: Rounds, a: str, b: str, spread: Spread | None = None) -> Quantity:
    """Latency of `a` over that of `b`, from rounds that both took part in; below 1 means that `a` is faster.

    Each round gives the ratio of the two blocks' quickest samples: what disturbs a run only ever adds time.
    `spread` is what processes of one artifact were found to differ by.

    Raises:
        StageError: one of them broke during the measurement.
    """
    first, second = _series(rounds, a), _series(rounds, b)
    logs = np.log(_per_round(first, np.min)) - np.log(_per_round(second, np.min))
    sides = sorted((first, second), key=lambda series: series.processes)
    if sides[0].processes >= FEWEST_PROCESSES:
        return _several(logs, sides[0])
    if sides[1].processes >= FEWEST_PROCESSES:
        return _one_against_several(logs, sides[1].processes, spread)
    return _single(logs, spread or _assumed(rounds.plan), 2)


def sure_within(blocks: Sequence[Block], reference: Sequence[Block], share: float) -> bool:
    """Whether these rounds tell the ratio of two subjects to within a share, but for what processes differ.

    Both have run the same number of runs per sample in all their blocks.
    """
    logs = np.log([min(a.samples) / max(1, min(b.samples)) for a, b in zip(blocks, reference, strict=True)])
    return take_turns(logs, 1 + max(block.process for block in reference)).noise_half <= share


def _series(rounds: Rounds, name: str) -> Series:
    if name in rounds.failed:
        raise StageError(*rounds.failed[name])
    return rounds.series[name]


def _per_round(series: Series, statistic: Any) -> Values:
    """One value in milliseconds of a run for each round."""
    values = [statistic(block.samples) for block in series.blocks]
    return np.maximum(np.asarray(values, np.float64), 1.0) / series.loops / 1e6


def _assumed(plan: LatencyPlan) -> Spread:
    return Spread(deviation=plan.process_spread)


def _several(logs: Values, series: Series) -> Quantity:
    """Student's t over the processes' centres: what processes differ by is in them."""
    centres = take_turns(logs, series.processes).centres
    half = _student_half(centres)
    return _exponential(float(centres.mean()), half, half)


def _one_against_several(logs: Values, processes: int, known: Spread | None) -> Quantity:
    """The centre over all processes of the one side. How much the single process on the other side may be off
    is what processes were found to differ by."""
    turns = take_turns(logs, processes)
    if not math.isfinite(turns.noise_half):
        return Quantity(value=math.exp(float(turns.centres.mean())))
    half = math.hypot(turns.noise_half, widened_by(known, turns).half(1 + 1 / processes))
    return _exponential(float(turns.centres.mean()), half, half)


def _single(logs: Values, spread: Spread, sides: int) -> Quantity:
    """The interval of the rounds, widened by what a process differs on each of the sides."""
    middle, (low, high) = centre(logs), signed_rank_interval(logs)
    if not math.isfinite(low):
        return Quantity(value=math.exp(middle))
    wider = spread.half(sides)
    return _exponential(middle, math.hypot(middle - low, wider), math.hypot(high - middle, wider))


def _exponential(middle: float, down: float, up: float) -> Quantity:
    return Quantity(value=math.exp(middle), low=math.exp(middle - down), high=math.exp(middle + up))


def _student_half(values: Values) -> float:
    return student(len(values)) * float(values.std(ddof=1)) / math.sqrt(len(values))


def _percentile(series: Series, share: float, spread: Spread) -> tuple[Quantity, int]:
    """A percentile of single runs in ms, and to how many independent runs those measured amount.

    Runs of one block are alike. How much is seen from how unevenly the slow runs are spread over the
    blocks (Kish's design effect). The interval lies between two of the sorted runs: those between which the
    percentile of so many independent ones falls with 95 % (Woodruff 1952, doi:10.2307/2280781).
    """
    blocks = [block.samples if series.loops == 1 else block.singles for block in series.blocks]
    values = np.sort(np.concatenate([np.asarray(block, np.float64) for block in blocks]))
    values = np.maximum(values, 1.0) / 1e6
    if len(values) == 0:
        return Quantity(value=math.nan), 0
    found = _at(values, share)
    slow = np.array([np.mean(np.asarray(block) / 1e6 > found) for block in blocks])
    mean = float(slow.mean())
    effect = 1.0
    if len(blocks) > 1 and 0 < mean < 1:
        effect = max(1.0, float(slow.var(ddof=1)) * len(values) / len(blocks) / (mean * (1 - mean)))
    count = int(len(values) / effect)
    below, above = _binomial_interval(count, share)
    return _widened(found, _at(values, below), _at(values, above), spread, series.processes), count


def _at(values: Values, share: float) -> float:
    """The least of the sorted values that at least this share of them does not exceed."""
    return float(values[min(len(values), max(1, math.ceil(share * len(values) - 1e-9))) - 1])


@lru_cache
def _binomial_interval(count: int, share: float) -> tuple[float, float]:
    """Shares between which the part of `count` draws below a percentile lies with 95 %, tails of 2.5 %."""
    if count == 0:
        return 0.0, 1.0
    from scipy.stats import binom

    low, high = binom.ppf((0.025, 0.975), count, share)
    return low / count, min(1.0, (high + 1) / count)


def _minimum(series: Series, spread: Spread) -> Quantity:
    """The least sample in ms. Its interval says where the least of as many other rounds would lie.

    The rounds' own minima lie above the least one with gaps like an exponential's. The difference of two
    such least values then exceeds the sum of five gaps in 1 of 32 cases.
    """
    least = np.sort(_per_round(series, np.min))
    value = float(least[0])
    if len(least) < _ENOUGH_ROUNDS:
        return Quantity(value=value)
    reach = float(least[5]) / value
    return _widened(value, value / reach, value * reach, spread, series.processes)


def _widened(value: float, low: float, high: float, spread: Spread, processes: int) -> Quantity:
    """The interval, widened by what processes of one artifact differ."""
    wider = spread.half(1 / processes)
    down, up = (math.hypot(math.log(value / low), wider), math.hypot(math.log(high / value), wider))
    return Quantity(value=value, low=value * math.exp(-down), high=value * math.exp(up))


def by_round(series: Series) -> Values:
    """How long a subject took in each round, as shares of what is usual for the process that ran: that one
    process is slower than another is no drift."""
    values = _per_round(series, np.median)
    for start in range(series.processes):
        values[start :: series.processes] /= np.median(values[start :: series.processes])
    return values


def _drift(series: Series) -> float:
    values = by_round(series)
    third = max(1, len(values) // 3)
    return abs(float(np.median(values[-third:]) / np.median(values[:third])) - 1)


def _verdict(rounds: Rounds, series: Series, estimate: Quantity) -> str:
    count = len(series.blocks)
    if count < _ENOUGH_ROUNDS or estimate.low is None or estimate.high is None:
        return f"too few rounds ({count}, at least {_ENOUGH_ROUNDS} are needed)"
    half = (estimate.high - estimate.low) / 2 / estimate.value
    drift = _drift(rounds.series.get(REFERENCE, series))
    reasons: Sequence[tuple[bool, str]] = (
        (not series.warm_up.settled, "it did not settle during warm-up"),
        (half > _WIDEST_SHARE, f"the interval is ± {100 * half:.1f} %"),
        (drift > _MOST_DRIFT, f"the machine's speed drifted by {100 * drift:.1f} %"),
        (
            (rounds.steal_share or 0) > MOST_STEAL,
            f"{100 * (rounds.steal_share or 0):.1f} % of processor time was taken by other machines",
        ),
        (bool(rounds.beside), rounds.beside),
    )
    found = [text for holds, text in reasons if holds]
    return stability(found)
