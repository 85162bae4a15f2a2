"""The largest load that holds the limits on latency, derived from the rounds of a latency measurement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....backends.load.queueing import QueuePath, ResponseBound, largest_rate
from ....backends.measure.samples import Rounds, Series
from ...record.evaluation import Quantity

Values = NDArray[np.float64]

DERIVED = "derived"
REQUESTS, REQUESTS_OF_DRAWS = 60_000, 6_000
_DRAWS = 39
"""Times that rounds are drawn anew: least and most of so many rates hold 95 %."""
_SEED = 20_250
_NORMAL = 1.96
_SLOWER = 4
"""Times fewer requests where a batch is served at once: the queue is then followed step by step."""


@dataclass(frozen=True, kw_only=True)
class Services:
    """Times of single runs in milliseconds, [rounds, runs], as many in each round."""

    runs_ms: Values

    def path(self, rng: np.random.Generator, requests: int, batch: int, *, again: bool = False) -> QueuePath:
        """Requests whose runs take as those of rounds drawn at random: runs of one round stay together.
        `again`: of rounds that are themselves drawn first, to see what another measurement would tell."""
        rounds = (
            self.runs_ms[rng.integers(len(self.runs_ms), size=len(self.runs_ms))] if again else self.runs_ms
        )
        gaps = rng.exponential(1.0, requests)
        drawn = rng.integers(len(rounds), size=math.ceil(requests / rounds.shape[1]))
        runs = rounds[drawn].reshape(-1)[:requests]
        if again:
            runs = runs * (np.median(self.runs_ms) / np.median(rounds))  # the level's error is known apart
        return QueuePath(gaps=gaps * (requests / gaps.sum()), runs_ms=runs, batch=batch)

    def times(self, factor: float) -> Services:
        """All of them longer by a factor."""
        return Services(runs_ms=self.runs_ms * factor)


def services_of(rounds: Rounds, name: str, latency: Quantity | None) -> Services:
    """What runs of an artifact took in its rounds, at the level of its latency: rounds of other hours are
    compared by the reference that ran beside them."""
    series = rounds.series[name]
    found = Services(runs_ms=_singles(series))
    if latency is None or not latency.value > 0:
        return found
    typical = float(np.median([np.median(block.samples) for block in series.blocks])) / series.loops / 1e6
    return found.times(latency.value / typical) if typical > 0 else found


def _singles(series: Series) -> Values:
    blocks = [block.samples if series.loops == 1 else block.singles for block in series.blocks]
    least = min(len(block) for block in blocks)
    return np.maximum(np.array([block[:least] for block in blocks], np.float64), 1.0) / 1e6


def predicted_load(
    services: Services, latency: Quantity | None, bounds: Sequence[ResponseBound], batch: int
) -> Quantity:
    """The largest rate at which the bounds hold (none: the rate back to back), with the interval that rounds
    drawn anew and the interval of the latency give it."""
    most, short = (n if batch == 1 else n // _SLOWER for n in (REQUESTS, REQUESTS_OF_DRAWS))
    value = largest_rate(services.path(np.random.default_rng(_SEED), most, batch), bounds)
    base = largest_rate(services.path(np.random.default_rng(_SEED), short, batch), bounds, value)
    levels = _levels(latency)
    drawn = []
    for number, level in enumerate(levels):
        # The same gaps for all: what differs is what was measured.
        gaps = services.path(np.random.default_rng(_SEED), short, batch).gaps
        path = services.times(level).path(np.random.default_rng([_SEED, number]), short, batch, again=True)
        drawn.append(largest_rate(QueuePath(gaps=gaps, runs_ms=path.runs_ms, batch=batch), bounds, value))
    low, high = min(drawn), max(drawn)
    if base > 0 and value > 0:
        low, high = min(value, value * low / base), max(value, value * high / base)
    return Quantity(value=value, low=low, high=high, provenance=DERIVED)


def _levels(latency: Quantity | None) -> Values:
    """Factors of all service times, by the interval of the latency."""
    if latency is None or latency.low is None or latency.high is None or not 0 < latency.low < latency.high:
        return np.ones(_DRAWS)
    deviation = math.log(latency.high / latency.low) / 2 / _NORMAL
    found: Values = np.exp(deviation * np.random.default_rng(_SEED).standard_normal(_DRAWS))
    return found
