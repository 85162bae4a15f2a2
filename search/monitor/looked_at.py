"""What a log tells of inputs and predictions, of latency, and of quality where labels came."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import log, sqrt
from typing import Any

import numpy as np
from scipy.special import betaincinv

from ...profiles.quantity import Quantity
from ..bundles.bundle import Bundle
from ..checks.evidence import Question, unpaired
from ..checks.quantiles import above
from ..checks.tolerances import DEFAULTS, Tolerance, Tolerances
from ..record.checks import INPUTS, PREDICTIONS, RANGE, WORST_CLASS, Scale
from ..record.metrics import metric_info
from .finding import Noticed
from .said import JudgedSaid, PlanSaid
from .sequential import Scores, mean_interval, mean_rose, share_fell, share_interval
from .series import NUMBERS, Bins
from .shift import MOST_ALIKE, Shift, shift_of
from .tally import GROWTH, Tally, seconds_of

FEWEST_SAMPLES, FEWEST_LABELS, FEWEST_OF_CLASS = 30, 30, 5
CALL_MS = 0.002
USUAL: Mapping[str, Tolerance] = {
    **DEFAULTS,
    "latency_ms": Tolerance(amount=0.10),
    "latency_p90_ms": Tolerance(amount=0.25),
    "latency_p99_ms": Tolerance(amount=1.0),
    "accuracy": Tolerance(amount=0.02, relative=False),
    "mae": Tolerance(amount=0.10),
    "rmse": Tolerance(amount=0.10),
    WORST_CLASS: Tolerance(amount=0.05, relative=False),
}
"""What passes in the field, where the user says nothing: more than side by side on a quiet device."""
_SHARES = {"latency_ms": 0.5, "latency_p90_ms": 0.9, "latency_p99_ms": 0.99}
_FEWEST_TIMES = {"latency_ms": 30, "latency_p90_ms": 64, "latency_p99_ms": 662}
_SIDES = {"inputs": ("input", INPUTS), "outputs": ("output", PREDICTIONS)}


def passes(tolerances: Tolerances, metric: str) -> Tolerance:
    """What is tolerated of a metric in the field."""
    return tolerances.stated.get(metric) or USUAL[metric]


def shifts(plan: PlanSaid, tally: Tally) -> list[Shift]:
    """That of each series of the plan."""
    slices = Bins([vars(one) for one in plan.series]).slices
    return [shift_at(plan, tally, at, part) for at, part in enumerate(slices)]


def shift_at(plan: PlanSaid, tally: Tally, at: int, part: slice) -> Shift:
    """That of one series, whose counts are `part` of all."""
    before = np.array(plan.series[at].counts, dtype=np.float64)
    return shift_of(before, tally.counts[part].astype(np.float64), tally.sums[at])


def of_series(plan: PlanSaid, tally: Tally, tolerances: Tolerances) -> Iterator[Noticed]:
    """Shift and range of each series: those of one tensor are a row."""
    for one, shift in zip(plan.series, shifts(plan, tally), strict=True):
        word, metric = _SIDES[one.side]
        too_few = shift.count < FEWEST_SAMPLES
        moved = f"{one.name} moved by {shift.moved:+.2g} sd" if not too_few else _few(shift.count)
        beyond = f"{one.name} is far out of what was seen, or no finite number"
        for what, p, found, detail, unclear in (
            (metric, shift.p, shift.index, moved, too_few),
            (RANGE, shift.p_beyond, shift.beyond, beyond, too_few and shift.beyond == 0),
        ):
            most = passes(tolerances, what).amount
            yield Noticed(
                subject=_named(word, one.tensor),
                metric=what,
                p=p,
                p_moved=p,
                effect=found / max(most, 1e-9),
                found=Quantity(value=found, how=one.name),
                change=Quantity(value=found),
                tolerated=most,
                detail=detail,
                too_few=unclear,
            )


def _named(word: str, name: str) -> str:
    return name if word in name.lower() else f"{word} {name}"


def _few(count: float) -> str:
    return f"worth {count:.0f} independent samples, {FEWEST_SAMPLES} are needed"


def of_misfits(plan: PlanSaid, tally: Tally, tolerances: Tolerances) -> Iterator[Noticed]:
    """Arrays that are not of the model's shape, or not there."""
    calls, most = tally.numbers["looks"], passes(tolerances, RANGE).amount
    for tensor in plan.tensors:
        count = tally.numbers["unfit " + tensor["name"]]
        share = count / max(calls, 1)
        if count:
            yield Noticed(
                subject=_named(_SIDES[tensor["side"]][0], tensor["name"]),
                metric=RANGE,
                p=0.0,
                p_moved=0.0,
                effect=max(share / max(most, 1e-9), 0.51),
                found=Quantity(value=share),
                change=Quantity(value=share),
                tolerated=most,
                detail=f"{count} calls had an array of another shape, or none",
            )


def of_latency(bundle: Bundle, tally: Tally, tolerances: Tolerances, elsewhere: str) -> Iterator[Noticed]:
    """Latency as it is in the field against that of the manifest."""
    if "latency_ms" not in bundle.metrics:
        return
    count = sum(tally.latency.values())
    worth = count * _independent_share(tally.lags)
    for metric, share in _SHARES.items():
        expected = bundle.metrics.get(metric)
        if expected is None or expected.value <= 0:
            continue
        tolerance = _with_a_call(passes(tolerances, metric), expected)
        if worth < _FEWEST_TIMES[metric]:
            yield _too_few_times(bundle, tally, metric, expected, count)
            continue
        found = _quantile(tally.latency, share, worth)
        evidence = unpaired(Question(subject="latency", metric=metric, tolerance=tolerance), expected, found)
        moved = (
            above(evidence.loss / evidence.error, evidence.degrees)
            if evidence.error
            else float(evidence.loss <= 0)
        )
        yield Noticed(
            subject="the bundle",
            metric=metric,
            p=evidence.p,
            p_moved=moved,
            effect=evidence.loss / max(evidence.margin, 1e-9),
            expected=expected,
            found=found,
            change=evidence.change,
            scale=evidence.scale,
            tolerated=evidence.told(evidence.margin),
            detail=f"{count} calls of batch {bundle.batch}",
            open_because=elsewhere or ("the manifest's is an estimate" if expected.is_estimate else ""),
        )


def _with_a_call(tolerance: Tolerance, expected: Quantity) -> Tolerance:
    """What calling a model from Python adds, where the user has not said what passes."""
    if tolerance.stated:
        return tolerance
    return replace(tolerance, amount=tolerance.amount + CALL_MS / expected.value)


def _too_few_times(bundle: Bundle, tally: Tally, metric: str, expected: Quantity, count: int) -> Noticed:
    others = sum(tally.elsewise.values())
    said = f"{count} calls of batch {bundle.batch}, {_FEWEST_TIMES[metric]} independent ones are needed"
    if others:
        said += f"; {others} calls had another batch"
    return Noticed(subject="the bundle", metric=metric, expected=expected, too_few=True, detail=said)


def _independent_share(lags: Any) -> float:
    """How much of an independent one a time is worth that resembles the one before."""
    pairs = max(float(lags[0]), 1.0)
    later, earlier, squares, products = (float(one) / pairs for one in lags[1:])
    variance = squares - later**2
    alike = (products - later * earlier) / variance if variance > 1e-9 else 0.0
    alike = min(max(alike, 0.0), MOST_ALIKE)
    return (1 - alike) / (1 + alike)


def _quantile(latency: Mapping[int, int], share: float, worth: float) -> Quantity:
    """A quantile of times in ms, with the interval of as many independent ones; both as wide as a bucket."""
    buckets = np.array(sorted(latency))
    sums = np.cumsum([latency[bucket] for bucket in buckets.tolist()])

    def at(level: float) -> float:
        place = int(np.searchsorted(sums, min(max(level, 0.0), 1.0) * sums[-1]))
        return 1e3 * seconds_of(int(buckets[min(place, len(buckets) - 1)]))

    reach = 1.96 * sqrt(share * (1 - share) / worth)
    half = sqrt(GROWTH)  # what a bucket leaves open
    return Quantity(value=at(share), low=at(share - reach) / half, high=at(share + reach) * half)


def of_quality(bundle: Bundle, plan: PlanSaid, tally: Tally, tolerances: Tolerances) -> Iterator[Noticed]:
    """Quality on the samples whose labels came, and that of each class."""
    judge = plan.quality.judge if plan.quality else ""
    metric = _quality_metric(bundle.quality, judge)
    count = float(tally.quality[0])
    if count < FEWEST_LABELS or plan.quality is None:
        said = "no label came" if not count else f"{count:.0f} labels came, {FEWEST_LABELS} are needed"
        if plan.quality is None:
            said = "the bundle has no samples with labels to compare with"
        yield Noticed(
            subject="the bundle",
            metric=metric,
            skipped=not count or not plan.quality,
            too_few=True,
            detail=said,
        )
        return
    then, now = (_scores(sums, squared=metric == "rmse") for sums in (plan.quality.sums, tally.quality))
    tolerance = passes(tolerances, metric)
    if judge == NUMBERS:
        yield _errors(metric, then, now, tolerance)
        return
    yield _share("the bundle", metric, then, now, tolerance)
    yield from _of_classes(plan.quality, tally, passes(tolerances, WORST_CLASS))


def _of_classes(before: JudgedSaid, tally: Tally, tolerance: Tolerance) -> Iterator[Noticed]:
    for number, sums in before.classes.items():
        now = tally.classes.get(number)
        if now is not None and min(sums[0], now[0]) >= FEWEST_OF_CLASS:
            then, found = (Scores(float(one[0]), float(one[1]), 0.0) for one in (sums, now))
            one = _share(f"class {number}", WORST_CLASS, then, found, tolerance)
            yield replace(one, row=WORST_CLASS)


def _quality_metric(stated: str, judge: str) -> str:
    if judge == NUMBERS:
        return "rmse" if stated == "rmse" else "mae"
    return "accuracy" if judge else stated


def _scores(sums: Any, *, squared: bool) -> Scores:
    count, first, first_squares, second, second_squares = map(float, sums)
    return Scores(count, second, second_squares) if squared else Scores(count, first, first_squares)


def _share(subject: str, metric: str, then: Scores, now: Scores, tolerance: Tolerance) -> Noticed:
    most = tolerance.amount * (then.mean if tolerance.relative else 1.0)
    lost = then.mean - now.mean
    low, high = (
        float(betaincinv(then.sum + 0.5, then.count - then.sum + 0.5, level)) for level in (0.025, 0.975)
    )
    return Noticed(
        subject=subject,
        metric=metric,
        p=share_fell(then, now, most),
        p_moved=share_fell(then, now, 0.0),
        effect=lost / max(most, 1e-9),
        expected=Quantity(value=then.mean, low=min(low, then.mean), high=max(high, then.mean)),
        found=share_interval(now),
        change=Quantity(value=-lost),
        tolerated=-most,
        detail=f"{now.count:.0f} labels",
    )


def _errors(metric: str, then: Scores, now: Scores, tolerance: Tolerance) -> Noticed:
    power = 2.0 if metric == "rmse" else 1.0
    before = max(then.mean, 1e-300) ** (1 / power)
    most = tolerance.amount if tolerance.relative else tolerance.amount / before
    ratio = (max(now.mean, 1e-300) / max(then.mean, 1e-300)) ** (1 / power)
    known = mean_interval(now)
    low, high = (max(end, 0.0) ** (1 / power) for end in known.ends)
    half = 1.96 * sqrt(then.variance / then.count)
    ends = [max(then.mean + way * half, 0.0) ** (1 / power) for way in (-1, 1)]
    return Noticed(
        subject="the bundle",
        metric=metric,
        p=mean_rose(then, now, (1 + most) ** power),
        p_moved=mean_rose(then, now, 1.0),
        effect=log(ratio) / log(1 + max(most, 1e-9)),
        expected=Quantity(value=before, low=ends[0], high=ends[1]),
        found=Quantity(value=now.mean ** (1 / power), low=low, high=high, how=known.how),
        change=Quantity(value=ratio),
        scale=Scale.RATIO,
        tolerated=1 + most,
        detail=f"{now.count:.0f} labels, {metric_info(metric).title} of single answers",
    )
