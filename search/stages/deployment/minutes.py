"""What minutes at work tell: their percentiles, how hot the last of them are, how much longer a run takes."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, isfinite, log, sqrt
from statistics import fmean, variance

from ....backends.load.under_load import UnderLoad, needed_samples
from ....backends.measure.spread import student
from ....backends.watch.state import State
from ...record.evaluation import Quantity
from ...record.sustained import Minute

PERCENTILES = {"latency_p90_ms": 0.90, "latency_p99_ms": 0.99}
HOT_SHARE = 1 / 3
"""Of the minutes: the last ones are the hot ones."""
_SATURATED = 0.98


def hot_minutes(count: int) -> int:
    """How many of so many minutes, the last ones, count as hot."""
    return max(1, int(count * HOT_SHARE))


def together(parts: Sequence[UnderLoad]) -> UnderLoad:
    """Parts of one run as a whole."""
    served = sum(one.served for one in parts)
    return UnderLoad(
        rate=parts[0].rate,
        arrivals=sum(one.arrivals for one in parts),
        served=served,
        seconds=sum(one.seconds for one in parts),
        runs=sum(one.runs for one in parts),
        busy_s=sum(one.busy_s for one in parts),
        late_s=max((one.late_s for one in parts), key=lambda late: late[1]),
        mean_ms=sum(one.mean_ms * one.served for one in parts) / max(1, served),
        segments=tuple(segment for one in parts for segment in one.segments),
    )


def minute_of(pieces: Sequence[UnderLoad], seen: State | None) -> Minute:
    """Its percentiles, a p99 only of enough of them, and the device at its end."""
    whole = together(pieces)
    clocks = list(seen.clock_mhz.values()) if seen is not None else []
    return Minute(
        served=whole.served,
        p50_ms=whole.percentile_ms(0.5),
        p99_ms=whole.percentile_ms(0.99) if enough(whole, 0.99) else None,
        temperature_c=seen.hottest_c if seen is not None else None,
        clock_mhz=round(fmean(clocks), 1) if clocks else None,
        slowed=seen.slowing if seen is not None else None,
    )


def enough(whole: UnderLoad, share: float) -> bool:
    """Whether so many requests came that something can be said of a percentile."""
    return whole.independent(share) >= needed_samples(share)


def kept_up(minutes: Sequence[UnderLoad]) -> bool:
    """Whether what came was served in time, and the last of it not without a pause."""
    last = minutes[-1]
    saturated = last.rate > 0 and last.busy_s > _SATURATED * last.seconds
    return all(one.kept_up for one in minutes) and not saturated


def percentiles(whole: UnderLoad, how: str) -> dict[str, Quantity]:
    """Those of which something can be said, with their intervals."""
    found = {}
    for metric, share in PERCENTILES.items():
        if enough(whole, share):
            low, high = whole.interval_ms(share)
            value = whole.percentile_ms(share)
            ends = low if isfinite(low) else None, high if isfinite(high) else None
            found[metric] = Quantity(value=value, low=ends[0], high=ends[1], how=how)
    return found


def tails(first: UnderLoad, last: UnderLoad) -> dict[str, float]:
    """By how much percentiles are longer in the last minutes than in the first, where both tell."""
    return {
        metric: last.percentile_ms(share) / first.percentile_ms(share)
        for metric, share in PERCENTILES.items()
        if enough(first, share) and enough(last, share)
    }


def slowdown(before: Sequence[float], after: Sequence[float]) -> Quantity:
    """By how much a run takes longer, from runs in the middle of pieces before and after, in one process."""
    cold, hot = [log(one) for one in before], [log(one) for one in after]
    middle = fmean(hot) - fmean(cold)
    error = sqrt(variance(cold) / len(cold) + variance(hot) / len(hot))
    half = student(min(len(cold), len(hot))) * error
    how = "a run in the middle right after the work against right before, in the same process"
    return Quantity(value=exp(middle), low=exp(middle - half), high=exp(middle + half), how=how)
