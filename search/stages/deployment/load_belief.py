"""What is believed of an artifact under load before it is put under it, corrected by each run."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ....backends.load.queueing import QueuePath, ResponseBound, largest_rate
from ....backends.load.under_load import UnderLoad, needed_samples

Values = NDArray[np.float64]

SKIPPED = 0.05
"""Of the requests of a run, at its start, where the queue is empty."""
_CERTAIN, _POWER = 1.96, 0.84
"""The ends of intervals that hold 95 %; four of five runs of so many requests are to show what is true."""
_PARTS, _RESPONSES = 24, 40_000
_FASTER, _SLOWER, _STEPS = 0.2, 50.0, 14
_BUSIEST = 0.99


@dataclass(frozen=True, kw_only=True)
class Belief:
    """Requests that were followed through a queue, and the bounds that their response times must keep to."""

    path: QueuePath
    bounds: tuple[ResponseBound, ...]

    @property
    def largest(self) -> float:
        """The largest load at which the bounds hold."""
        return largest_rate(self.path, self.bounds)

    def corrected(self, seen: UnderLoad) -> Belief:
        """All services longer or shorter by a factor, so that the percentile that a run saw comes out."""
        bound = self.bounds[0]
        wanted, low, high = seen.percentile_ms(bound.share), _FASTER, _SLOWER
        for _ in range(_STEPS):
            middle = math.sqrt(low * high)
            below = float(np.quantile(self._times(middle)._responses(seen.rate), bound.share)) < wanted
            low, high = (middle, high) if below else (low, middle)
        return self._times(math.sqrt(low * high))

    def _times(self, factor: float) -> Belief:
        return replace(self, path=replace(self.path, runs_ms=self.path.runs_ms * factor))

    def _responses(self, rate: float) -> Values:
        return self.path.responses_ms(min(rate, _BUSIEST * self.path.capacity))[-_RESPONSES:]

    def needed_s(self, rate: float, *, to_decide: bool = True) -> float:
        """Seconds at a load until enough independent requests have come to say that a bound holds, or
        `to_decide` also whether it does, which takes the longer the closer it is."""
        whole = self._responses(rate)
        guess = _guess(rate, whole)
        return max(
            _requests(float(np.mean(whole > bound.most_ms)), 1 - bound.share, to_decide)
            * len(whole)
            / max(1, guess.independent(bound.share))
            for bound in self.bounds
        ) / ((1 - SKIPPED) * rate)


def _requests(late: float, allowed: float, to_decide: bool) -> float:
    """Independent ones that show that the share `late` is below or above what is `allowed`."""
    least = needed_samples(1 - allowed)
    if not to_decide:
        return least
    apart = abs(allowed - late)
    ends = _CERTAIN * math.sqrt(allowed * (1 - allowed)) + _POWER * math.sqrt(late * (1 - late))
    found = (ends / apart) ** 2 if apart > 0 else math.inf
    return found if late > allowed else max(1.1 * least, found)


def _guess(rate: float, whole: Values) -> UnderLoad:
    """As if a run had seen these response times."""
    return UnderLoad(
        rate=rate,
        arrivals=len(whole),
        served=len(whole),
        seconds=len(whole) / rate,
        runs=len(whole),
        busy_s=0.0,
        late_s=(0.0, 0.0, 0.0),
        mean_ms=float(whole.mean()),
        segments=tuple(np.sort(part) for part in np.array_split(whole, _PARTS)),
    )
