"""How much processes of one artifact differ on a machine: seen in rounds, and what it does to an interval.

Where memory was placed, and on which core the system lets a process run, makes it quicker or slower for as
long as it lives. No number of rounds removes that; it has to be seen in several processes of one artifact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .samples import LatencyPlan, Rounds

Values = NDArray[np.float64]

FEWEST_PROCESSES = 3
_NORMAL = 1.959964
_TO_DEVIATION = 1.4826  # of a normal distribution, from the median absolute deviation
_BEYOND_CHANCE = 4.0
"""Times the variance that was known before: what later rounds show beyond that is a machine that changed.
Two variances of five processes each differ by that much in one of ten cases."""


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Standard deviation of the logarithm of the latency between processes of one artifact, as so many
    `processes` showed it (0: it is assumed). `noise` is that between rounds of one process."""

    deviation: float
    processes: int = 0
    noise: float = 0.0

    def half(self, parts: float) -> float:
        """Half of the 95 % interval of a logarithm that has the variance of `parts` processes: Student's t,
        as few processes tell their spread badly."""
        return student(self.processes) * self.deviation * math.sqrt(parts)

    def told_apart(self, plan: LatencyPlan) -> float:
        """The share by which the latencies of two artifacts must differ so that their intervals are apart,
        each of them measured by the plan in one process, against as many of the reference."""
        fewest, most = (
            _NORMAL * self.noise * math.sqrt(2 / rounds) for rounds in (plan.min_rounds, plan.rounds)
        )
        noise = min(fewest, max(most, plan.enough_share))  # rounds end where this much is left
        return math.expm1(2 * math.hypot(noise, self.half(1 + 1 / max(1, self.processes))))


@dataclass(frozen=True, kw_only=True)
class Turns:
    """Rounds in which one side's processes took turns: one value (a logarithm) for each process, what these
    vary by, and half of the 95 % interval that noise alone gives their mean (infinite: too few rounds)."""

    centres: Values
    noise_half: float
    noise_variance: float  # of one process's centre

    @property
    def variance(self) -> float:
        """Between processes, surely: less than that only by chance."""
        return max(0.0, float(self.centres.var(ddof=1)) - 2 * self.noise_variance)

    @property
    def spread(self) -> Spread:
        """What these rounds alone tell."""
        return _spread(self.centres, self.noise_variance)


def take_turns(logs: Values, processes: int) -> Turns:
    """`logs` has one value a round; process `i` ran in the rounds i, i + processes, ..."""
    groups = [logs[start::processes] for start in range(processes)]
    centres = np.array([centre(group) for group in groups])
    left = logs - np.resize(centres, len(logs))
    free = len(logs) - processes
    if free < processes:
        return Turns(centres=centres, noise_half=math.inf, noise_variance=math.inf)
    scale = math.sqrt(len(logs) / free)
    low, high = signed_rank_interval(left)
    noise = (_deviation(left) * scale) ** 2 * processes / len(logs)
    return Turns(centres=centres, noise_half=scale * (high - low) / 2, noise_variance=noise)


def spread_among(rounds: Rounds) -> Spread | None:
    """What the subjects of a measurement differ by, all of them processes of one artifact in the same rounds;
    None where too few of them or of the rounds are left."""
    series = [one for name, one in rounds.series.items() if name not in rounds.failed]
    count = len(rounds.order)
    if len(series) < FEWEST_PROCESSES or count < 2:
        return None
    logs = np.log([[min(block.samples) / one.loops for block in one.blocks] for one in series])
    logs -= np.median(logs, axis=0)
    centres = np.array([centre(row) for row in logs])
    scale = math.sqrt(logs.size / ((len(series) - 1) * (count - 1)))
    noise = _deviation(logs - centres[:, None]) * scale
    return replace(_spread(centres, noise**2 / count), noise=noise)


def widened_by(known: Spread | None, seen: Turns) -> Spread:
    """The spread that was known, unless these rounds show that the machine has changed since."""
    if known is None:
        return seen.spread
    if seen.variance > _BEYOND_CHANCE * known.deviation**2:
        return Spread(deviation=math.sqrt(seen.variance), processes=len(seen.centres))
    return known


def _spread(centres: Values, noise_variance: float) -> Spread:
    """Half of the noise is taken off: with all of it gone, a spread as small as the noise is found to be zero
    by chance, and the intervals held 92 instead of 95 % in simulations; with none gone 99 %."""
    variance = max(0.0, float(centres.var(ddof=1)) - noise_variance / 2)
    return Spread(deviation=math.sqrt(variance), processes=len(centres))


def _deviation(left: Values) -> float:
    """Of what is left around centres; a few rounds that went wrong do not count."""
    return _TO_DEVIATION * float(np.median(np.abs(left)))


@lru_cache
def student(processes: int) -> float:
    """Student's 97.5 % quantile for so many processes; that of a normal distribution where it was assumed."""
    from scipy.special import stdtrit

    return float(stdtrit(processes - 1, 0.975)) if processes >= FEWEST_PROCESSES else _NORMAL


def pair_means(values: Values) -> Values:
    """All means of two values, also of a value with itself, sorted."""
    first, second = np.triu_indices(len(values))
    return np.sort((values[first] + values[second]) / 2)


def centre(values: Values) -> float:
    """Median of all pair means: Hodges and Lehmann 1963, doi:10.1214/aoms/1177704172."""
    return float(np.median(pair_means(values)))


def signed_rank_interval(values: Values) -> tuple[float, float]:
    """95 % interval of the centre: Wilcoxon's signed-rank test turned around; infinite under 6 values."""
    outside = signed_rank_quantile(len(values))
    if outside < 0:
        return -math.inf, math.inf
    means = pair_means(values)
    return float(means[outside]), float(means[len(means) - 1 - outside])


@lru_cache
def signed_rank_quantile(count: int) -> int:
    """Largest k with P(W <= k) <= 2.5 % for the signed-rank statistic of `count` values; -1: none."""
    shares = np.zeros(count * (count + 1) // 2 + 1)
    shares[0] = 1.0
    for rank in range(1, count + 1):
        shifted = np.zeros_like(shares)
        shifted[rank:] = shares[:-rank]
        shares = (shares + shifted) / 2
    return int(np.searchsorted(np.cumsum(shares), 0.025, side="right")) - 1
