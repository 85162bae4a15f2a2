"""Finalists kept at work for minutes, one after the other: what they are when the device is hot."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import exp, hypot, log

from ...profiles.errors import StageError
from ...profiles.words import duration
from ..record.deployed import Deployed
from ..record.evaluation import Finalist, Quantity
from ..record.metrics import metric_info
from ..record.sustained import AROUND_S, REST_SHARE, Minute, Sustained, SustainedLoad, seconds_of
from ..stages.chain import Chain
from ..stages.deployment.cooling import Cooling
from ..stages.deployment.minutes import PERCENTILES
from ..stages.deployment.sustained import MINUTE_S, SustainedAsked, Work, kept_at_work, was_kept
from .confirmed import Settled

LATENCY = "latency_ms"


@dataclass(frozen=True, kw_only=True)
class _Time:
    """Seconds at work for each, and what is to be said where they are fewer than was asked."""

    seconds: float
    said: str = ""


def kept_hot(
    finalists: Sequence[Finalist],
    settled: Sequence[Settled],
    chain: Chain,
    seconds_left: Callable[[], float],
) -> tuple[list[Finalist], str]:
    """The finalists, whose latencies are hot ones where the study asks for that and it could be done, and
    what is to be said where there was less time for it.

    Raises:
        Interrupted: a stop was asked for; those that were done are in the store.
    """
    asked = chain.sustained
    if asked is None:
        return list(finalists), ""
    by_number = {one.number: one.side.contender for one in settled}
    open_ones = [f for f in finalists if not was_kept(by_number[f.number], chain.device, asked)]
    time = _time(asked, len(open_ones), seconds_left())
    if not time.seconds:
        return list(finalists), time.said
    cooling, found = Cooling(seconds=time.seconds), list[Finalist]()
    for one in finalists:
        seconds = time.seconds if one in open_ones else asked.seconds
        work = _work(one, asked, seconds, cooling, chain)
        try:
            shown = kept_at_work(by_number[one.number], chain.device, work)
        except StageError as error:
            untold = Deployed(untold={"sustained": error.cause})
            found.append(replace(one, deployed=one.deployed.with_all_of(untold)))
        else:
            found.append(_hot(one, shown))
    return _against_baseline(found), time.said


def _time(asked: SustainedAsked, count: int, left: float) -> _Time:
    """What each of so many has of the seconds that are left: all, or whole minutes."""
    if not math.isfinite(left) or seconds_of(asked.seconds, count) <= left or not count:
        return _Time(seconds=asked.seconds)
    minutes = int((left / count - AROUND_S) / (1 + REST_SHARE) / MINUTE_S)
    whole = duration(asked.seconds)
    left_text = f"{duration(max(0.0, left))} of the budget were left for {count} of them"
    if minutes < 1:
        return _Time(seconds=0.0, said=f"finalists were not kept at work, for {whole} each: {left_text}")
    found = minutes * MINUTE_S
    return _Time(
        seconds=found,
        said=f"finalists were kept at work for {duration(found)} each in place of {whole}: {left_text}",
    )


def _work(one: Finalist, asked: SustainedAsked, seconds: float, cooling: Cooling, chain: Chain) -> Work:
    run_s = one.metrics[LATENCY].value / 1e3
    total = math.ceil(seconds / MINUTE_S)

    def shown(number: int, minute: Minute) -> None:
        info = metric_info(LATENCY)
        warm = "" if minute.temperature_c is None else f", {minute.temperature_c:.0f} °C"
        p99 = "" if minute.p99_ms is None else f", p99 {info.format(minute.p99_ms)}"
        told = f"p50 {info.format(minute.p50_ms)}{p99}{warm}"
        chain.device.announce(f"#{one.number} at work, minute {number} of {total}: {told}")

    return Work(
        asked=asked,
        seconds=seconds,
        rate=_rate(one, asked.load, chain),
        run_s=run_s,
        cooling=cooling,
        shown=shown,
        checkpoint=chain.checkpoint,
    )


def _rate(one: Finalist, load: SustainedLoad, chain: Chain) -> float:
    """Requests a second; 0 for back to back."""
    if load.share is None:
        return load.rate or 0.0
    throughput = one.metrics.get("throughput_per_s")
    batch = chain.device.deployment.usual.batch
    most = throughput.value if throughput is not None else batch * 1e3 / one.metrics[LATENCY].value
    return load.share * most


def _hot(one: Finalist, shown: Sustained) -> Finalist:
    """With its hot latencies in the place of those that were measured cold, which it keeps beside. At a rate,
    percentiles are those of the response times; back to back they grow as they did from the first minute to
    the last ones, and no less than a run in the middle."""
    cold = {name: q for name, q in one.metrics.items() if name in (LATENCY, *PERCENTILES)}
    how = f"measured cold, times what a run takes longer after {duration(shown.seconds)} at work"
    hot = {}
    for name, before in cold.items():
        if name in shown.hot:
            hot[name] = shown.hot[name]
        elif shown.slowdown is not None:
            grown = _at_least(shown.slowdown, shown.tails.get(name, 0.0))
            hot[name] = product(before, grown, f"{how} ({shown.load} load)")
    kept = replace(shown, cold=cold, hot=hot)
    return replace(
        one, metrics={**one.metrics, **hot}, deployed=one.deployed.with_all_of(Deployed(sustained=kept))
    )


def _at_least(slowdown: Quantity, factor: float) -> Quantity:
    """Moved up to a factor that is larger."""
    more = max(1.0, factor / slowdown.value)
    low, high = slowdown.ends
    return replace(slowdown, value=slowdown.value * more, low=low * more, high=high * more)


def _against_baseline(found: Sequence[Finalist]) -> list[Finalist]:
    """Ratios to the strongest simple choice are those of the hot latencies, where both are hot."""
    base = next((one for one in found if one.ratio_to_baseline is None), None)
    there = base.deployed.sustained if base is not None else None
    return [_ratio(one, there) for one in found]


def _ratio(one: Finalist, base: Sustained | None) -> Finalist:
    mine, ratio = one.deployed.sustained, one.ratio_to_baseline
    if mine is None or base is None or ratio is None or mine.slowdown is None or base.slowdown is None:
        return one
    how = f"{ratio.how}, times what each takes longer after {duration(mine.seconds)} at work"
    return replace(one, ratio_to_baseline=product(ratio, quotient_of(mine.slowdown, base.slowdown), how))


def product(one: Quantity, other: Quantity, how: str) -> Quantity:
    """Of two that were measured apart: relative errors are added in squares."""
    value = one.value * other.value
    lows = [log(q.value / q.ends[0]) for q in (one, other)]
    highs = [log(q.ends[1] / q.value) for q in (one, other)]
    return Quantity(value=value, low=value * exp(-hypot(*lows)), high=value * exp(hypot(*highs)), how=how)


def quotient_of(above: Quantity, below: Quantity) -> Quantity:
    """Of two that were measured apart."""
    low, high = below.ends
    inverse = Quantity(value=1 / below.value, low=1 / high, high=1 / low)
    return product(above, inverse, above.how)
