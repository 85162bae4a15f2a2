"""The largest load that holds the limits, in real runs: a narrow bracket is predicted, and halved by runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ....backends.load.queueing import MOST_UTILIZATION, QueuePath, ResponseBound
from ....backends.load.under_load import UnderLoad, needed_samples
from ....backends.measure.spread import student
from ...record.evaluation import Quantity
from ...record.load import Held, LoadCurve, LoadPoint, NoClaim
from .load_belief import SKIPPED, Belief

Run = Callable[[float, int, int], UnderLoad]
"""A run at a rate (0: back to back) of so many requests, so many of the first of which do not count."""

_SHARES = (
    0.1,
    0.2,
    0.3,
    0.4,
    0.5,
    0.6,
    0.7,
    0.8,
    0.85,
    0.9,
    0.93,
    0.96,
    0.98,
    1.02,
    1.04,
    1.07,
    1.1,
    1.2,
    1.5,
)
"""Of the load that is believed to be the largest, at which is tried whether the limits hold."""
_QUICKLY, _CLOSE, _MOST_TRIES = 0.3, 1.03, 16
"""Of the seconds, that the first run takes where another near load can be shown; ends that lie so close are
close enough."""
_IDLE = 0.1
"""Of the capacity: where no load at all is believed to hold the limits, this one is tried."""
_AT_CAPACITY, _CAPACITY_S, _CAPACITY_RUNS = 0.05, 1.0, 5
"""Of the seconds, and at most so many, that are spent back to back; so often where that is the answer."""
_FOR_CURVE, _P99 = 0.25, 0.99
CURVE = (0.25, 0.5, 0.75, 0.9)
_LATE = 0.2
"""Of a bound: where the generator's own lateness is beyond it, a load that fails is none of the model's."""
_LEAST, _MOST_REQUESTS = 64, 400_000
_SHORTEST, _LONGEST, _BOUNDS_LONG = 1 / 30, 1 / 8, 20
"""A run takes this part of the seconds, and so many times as long as a response may (but no more than that
part): one pause of the machine is not all that it shows."""


@dataclass(frozen=True, kw_only=True)
class Sought:
    """What is asked: the bounds on response times, the seconds that may be spent, the requests that were
    followed through a queue before (`path`) and the load that they told, and the loads that limits name."""

    bounds: tuple[ResponseBound, ...]
    seconds: float
    path: QueuePath
    predicted: Quantity
    named: tuple[float, ...] = ()


@dataclass
class LoadSearch:
    """One search; `run` puts the artifact under load."""

    sought: Sought
    run: Run
    spent: float = 0.0
    seen: dict[float, UnderLoad] = field(default_factory=dict)
    held: dict[float, Held] = field(default_factory=dict)
    late: bool = False
    belief: Belief = field(init=False)

    def __post_init__(self) -> None:
        self.belief = Belief(path=self.sought.path, bounds=self.sought.bounds)

    def found(self) -> LoadCurve:
        """The loads that were tried, and what they tell."""
        bounds = self.sought.bounds
        capacity = self._back_to_back(1 if bounds else _CAPACITY_RUNS)
        if not bounds:
            self._curve(capacity.value, (*CURVE[1:], MOST_UTILIZATION))
            return self._told(capacity, claimed=capacity)
        self._bracket(capacity.value)
        if self.seen:
            self._curve(self._ends()[0] or self.belief.largest, CURVE)
        low, high = self._ends()
        if low:
            most = max(self.belief.largest, self.sought.predicted.high or 0.0)
            top = max(low, min(high, most, capacity.value))
            return self._told(capacity, claimed=Quantity(value=low, low=low, high=top))
        return self._told(capacity, no_claim=self._why(high))

    @property
    def hopeless(self) -> bool:
        """Whether no load can be claimed in the time, so that nothing need be run."""
        needed = self._needed() if self.sought.bounds else None
        return needed is not None and needed > self.sought.seconds

    def nothing_run(self) -> LoadCurve:
        """What there is to tell without a run."""
        return LoadCurve(
            predicted=self.sought.predicted,
            no_claim=NoClaim.TOO_FEW,
            needed_s=self._needed(),
            allowed_s=self.sought.seconds,
        )

    def _why(self, high: float) -> NoClaim:
        """Why nothing is claimed."""
        if self.late:
            return NoClaim.GENERATOR
        return NoClaim.NEVER if self.seen and high <= min(self.seen) else NoClaim.TOO_FEW

    # -- where ------------------------------------------------------------------------------------------

    def _bracket(self, capacity: float) -> None:
        """Try loads, each at the place that what is known by then makes best, while there is time."""
        keep = _FOR_CURVE * self._left()
        for _ in range(_MOST_TRIES):
            rate = self._next(capacity, self._left() - keep)
            if rate is None:
                return
            self._try(rate, self._left() - keep)
            if rate not in self.seen:
                return
            if not self._generator_late(self.seen[rate]):
                self.belief = self.belief.corrected(self.seen[rate])

    def _next(self, capacity: float, seconds: float) -> float | None:
        """The largest load that can be shown to hold in the seconds that are left, the first in a part of
        them; then the least that can be shown not to. None: there is no such load between the ends."""
        (low, high), most = self._ends(), MOST_UTILIZATION * capacity
        largest = self.belief.largest
        if not largest:
            return None if self.seen else _IDLE * capacity
        rates = {min(share * largest, most) for share in _SHARES} | {r for r in self.sought.named if r < most}
        between = sorted(r for r in rates if _CLOSE * low < r < high / _CLOSE and r not in self.seen)
        need = {rate: self._wanted(rate) for rate in between}
        holds = [rate for rate in between if rate <= largest]
        quickly = [rate for rate in holds if not low and need[rate] <= _QUICKLY * seconds]
        in_time = [rate for rate in holds if need[rate] <= seconds]
        beyond = [rate for rate in between if rate > largest and need[rate] <= seconds]
        return next(iter((*quickly[-1:], *in_time[-1:], *beyond[:1])), None)

    def _curve(self, top: float, shares: Sequence[float]) -> None:
        """A few loads below, for the picture."""
        for place, share in enumerate(shares):
            rate, left = share * top, self._left() / (len(shares) - place)
            if rate > 0 and left * rate >= _LEAST:
                self._try(rate, left, once=True)

    def _ends(self) -> tuple[float, float]:
        """The largest load that surely holds below all that do not, and the least that surely does not."""
        high = min((rate for rate, held in self.held.items() if held is Held.NO), default=math.inf)
        low = max((r for r, held in self.held.items() if held is Held.YES and r < high), default=0.0)
        return low, high

    def _wanted(self, rate: float, *, to_decide: bool = True) -> float:
        """Seconds of runs at a load."""
        longest, whole = max(bound.most_ms for bound in self.sought.bounds) / 1e3, self.sought.seconds
        least = max(_SHORTEST * whole, min(_BOUNDS_LONG * longest, _LONGEST * whole))
        return max(least, self.belief.needed_s(rate, to_decide=to_decide))

    def _left(self) -> float:
        return self.sought.seconds - self.spent

    # -- runs -------------------------------------------------------------------------------------------

    def _back_to_back(self, times: int) -> Quantity:
        """Requests a second that are served where none is ever waited for."""
        path = self.sought.path
        seconds = min(_CAPACITY_S, _AT_CAPACITY * self.sought.seconds)
        whole = max(1, math.ceil(seconds * path.capacity / path.batch))
        rates = []
        for _ in range(times):
            found = self.run(0.0, min(whole * path.batch, _MOST_REQUESTS), 0)
            self.spent += found.seconds
            rates.append(found.served / found.busy_s if found.busy_s > 0 else found.achieved)
        middle, half = float(np.mean(rates)), _half(rates)
        low, high = (max(0.0, middle - half), middle + half) if half else (None, None)
        return Quantity(value=middle, low=low, high=high)

    def _try(self, rate: float, seconds: float, *, once: bool = False) -> None:
        """Runs at a load until it is known whether it holds, or the seconds are over."""
        wanted = self._wanted(rate, to_decide=not once) if self.sought.bounds else seconds
        for _ in range(1 if once else 2):
            share = min(1.1 * wanted, seconds)
            requests = min(int(share * rate), _MOST_REQUESTS)
            if requests < _LEAST:
                return
            found = self.run(rate, requests, int(SKIPPED * requests))
            self.spent += found.seconds
            seconds -= found.seconds
            before = self.seen.get(rate)
            self.seen[rate] = found if before is None else _together(before, found)
            self.held[rate] = self._judged(self.seen[rate])
            if self.held[rate] is not Held.UNSURE:
                return

    def _judged(self, found: UnderLoad) -> Held:
        bounds = self.sought.bounds
        ends = [(found.interval_ms(b.share), b) for b in bounds]
        enough = all(found.independent(b.share) >= needed_samples(b.share) for b in bounds)
        if found.kept_up and enough and all(high <= b.most_ms for (_, high), b in ends):
            return Held.YES
        if self._generator_late(found):
            self.late = True
            return Held.UNSURE
        fails = not found.kept_up or any(low > b.most_ms for (low, _), b in ends)
        return Held.NO if fails else Held.UNSURE

    def _generator_late(self, found: UnderLoad) -> bool:
        return any(found.late_s[1] * 1e3 > _LATE * bound.most_ms for bound in self.sought.bounds)

    # -- what it comes to -------------------------------------------------------------------------------

    def _told(
        self,
        capacity: Quantity,
        *,
        claimed: Quantity | None = None,
        no_claim: NoClaim | None = None,
    ) -> LoadCurve:
        bounds = self.sought.bounds
        return LoadCurve(
            points=tuple(self._point(rate) for rate in sorted(self.seen)),
            predicted=self.sought.predicted,
            claimed=claimed,
            no_claim=no_claim,
            needed_s=self._needed() if no_claim is NoClaim.TOO_FEW else None,
            expected_per_s=min(self.belief.largest, MOST_UTILIZATION * capacity.value) if bounds else None,
            capacity_per_s=capacity.value,
            late=self.late,
            allowed_s=self.sought.seconds,
            seconds=self.spent,
        )

    def _needed(self) -> float | None:
        """Seconds after which some load could be claimed."""
        largest = self.belief.largest
        return (
            min((self.belief.needed_s(share * largest) for share in _SHARES if share < 1), default=None)
            if largest
            else None
        )

    def _point(self, rate: float) -> LoadPoint:
        found, bounds = self.seen[rate], self.sought.bounds
        p90, p99 = (
            found.percentile_ms(q) if found.independent(q) >= needed_samples(q) else None for q in (0.9, 0.99)
        )
        share = bounds[0].share if bounds else _P99
        low, high = found.interval_ms(share)
        end = high if math.isfinite(high) else None
        return LoadPoint(
            offered_per_s=rate,
            achieved_per_s=found.achieved,
            p50_ms=found.percentile_ms(0.5),
            p90_ms=p90,
            p99_ms=p99,
            limited_ms=Quantity(value=found.percentile_ms(share), low=low, high=end),
            requests=found.served,
            independent=found.independent(share),
            held=self.held[rate] if bounds else Held.YES if found.kept_up else Held.NO,
            late_ms=found.late_s[1] * 1e3,
        )


def _together(a: UnderLoad, b: UnderLoad) -> UnderLoad:
    """Two runs at one load as one."""
    count = max(1, a.served + b.served)
    return replace(
        b,
        arrivals=a.arrivals + b.arrivals,
        served=a.served + b.served,
        seconds=a.seconds + b.seconds,
        runs=a.runs + b.runs,
        busy_s=a.busy_s + b.busy_s,
        late_s=max(a.late_s, b.late_s, key=lambda late: late[1]),
        mean_ms=(a.mean_ms * a.served + b.mean_ms * b.served) / count,
        segments=(*a.segments, *b.segments),
    )


def _half(values: Sequence[float]) -> float:
    """Of the 95 % interval of their mean (Student's t); 0 where there is one."""
    if len(values) < 2:
        return 0.0
    return student(len(values)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
