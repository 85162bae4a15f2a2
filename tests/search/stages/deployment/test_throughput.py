"""The largest load within limits: predicted from rounds, found in runs against servers in virtual time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from paretune.backends.load.arrivals import at_once, poisson
from paretune.backends.load.clock import VirtualClock
from paretune.backends.load.generator import offered
from paretune.backends.load.histogram import spread_out
from paretune.backends.load.operation import told
from paretune.backends.load.queueing import MOST_UTILIZATION, QueuePath, ResponseBound, largest_rate
from paretune.backends.load.under_load import UnderLoad
from paretune.backends.measure.samples import Block, LatencyPlan, Rounds, Series, WarmUp
from paretune.search.record.evaluation import Quantity
from paretune.search.record.limits import parse_limit
from paretune.search.record.load import Held, LoadCurve, LoadPoint, NoClaim
from paretune.search.stages.deployment.load_search import LoadSearch, Sought
from paretune.search.stages.deployment.predicted_load import Services, predicted_load, services_of
from paretune.search.stages.deployment.throughput import Conditions, throughput_of

P99 = ResponseBound(share=0.99, most_ms=3.0)
NEAR_ONE = Quantity(value=1.0, low=0.98, high=1.02)


def path(runs_ms: np.ndarray, batch: int = 1) -> QueuePath:
    return QueuePath(
        gaps=np.random.default_rng(0).exponential(1.0, len(runs_ms)), runs_ms=runs_ms, batch=batch
    )


def test_a_queue_that_is_followed_has_the_known_waiting_times() -> None:
    constant = path(np.ones(60_000))
    waits = constant.responses_ms(700.0).mean() - 1.0
    assert waits == pytest.approx(0.7 / (2 * 0.3), rel=0.05)  # M/D/1


def test_where_no_two_wait_a_batch_changes_nothing() -> None:
    runs = np.random.default_rng(1).uniform(0.5, 1.5, 2_000)
    assert np.allclose(path(runs, batch=8).responses_ms(0.1), path(runs).responses_ms(0.1), rtol=1e-3)


def test_the_largest_rate_is_where_the_percentile_meets_the_bound() -> None:
    services = path(np.random.default_rng(2).exponential(1.0, 60_000))
    rate = largest_rate(services, [ResponseBound(share=0.99, most_ms=10.0)])
    known = 1000 * (1 - np.log(100) / 10.0)  # M/M/1: the p99 is ln(100) / (1 - load)
    assert rate == pytest.approx(known, rel=0.05)
    assert largest_rate(services, [ResponseBound(share=0.99, most_ms=1.0)]) == 0.0
    assert largest_rate(services, [ResponseBound(share=0.99, most_ms=1e9)]) == pytest.approx(
        MOST_UTILIZATION * services.capacity
    )
    assert largest_rate(services, []) == services.capacity


def test_a_batch_serves_more_where_the_bound_leaves_time_for_it() -> None:
    alone, eight = (path(np.full(6_000, 1.0), batch) for batch in (1, 8))
    assert largest_rate(eight, [P99]) > 5 * largest_rate(alone, [P99])


def rounds_of(block: Callable[[int], Sequence[int]], *, loops: int = 1) -> Rounds:
    blocks = tuple(Block(process=0, samples=tuple(block(n)), singles=tuple(block(n))) for n in range(25))
    series = Series(loops=loops, processes=1, warm_up=WarmUp(seconds=1.0, settled=True), blocks=blocks)
    return Rounds(plan=LatencyPlan(), series={"it": series}, order=(("it",),) * 25)


def test_service_times_are_those_of_single_runs_at_the_level_of_the_latency() -> None:
    found = services_of(rounds_of(lambda n: [2_000_000 + n] * 5), "it", Quantity(value=1.0))
    assert found.runs_ms.shape == (25, 5)
    assert np.median(found.runs_ms) == pytest.approx(1.0, rel=1e-4)
    assert np.median(services_of(rounds_of(lambda n: [2_000_000] * 5), "it", None).runs_ms) == 2.0


def test_a_prediction_has_the_interval_that_latency_and_rounds_give_it() -> None:
    steady = Services(runs_ms=np.ones((25, 27)))
    found = predicted_load(steady, NEAR_ONE, [P99], 1)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    assert found.provenance == "derived"
    wide = predicted_load(steady, Quantity(value=1.0, low=0.8, high=1.25), [P99], 1)
    assert wide.high - wide.low > 3 * (found.high - found.low)


def test_no_load_holds_a_bound_below_the_service_time() -> None:
    found = predicted_load(
        Services(runs_ms=np.ones((9, 27))), NEAR_ONE, [ResponseBound(share=0.99, most_ms=0.5)], 1
    )
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


# -- runs ------------------------------------------------------------------------------------------------


def server(run_ms: float, batch: int = 1, late_ns: int = 0) -> Callable[[float, int, int], UnderLoad]:
    """Runs of a server whose service times vary by 5 %."""
    seeds, rng = iter(range(1_000)), np.random.default_rng(7)

    def run(rate: float, requests: int, skip: int) -> UnderLoad:
        clock, services = VirtualClock(), iter(rng.normal(run_ms, 0.05 * run_ms, requests).tolist())
        times = poisson(rate, requests, next(seeds)) if rate else at_once(requests)
        served = offered(times, lambda _: clock.passes(int(next(services) * 1e6)), clock, batch, 900.0)
        answer = told(served, skip)
        return UnderLoad(
            rate=rate,
            arrivals=requests,
            served=answer["served"],
            seconds=answer["seconds"],
            runs=answer["runs"],
            busy_s=answer["busy_ns"] / 1e9,
            late_s=(0.0, late_ns / 1e9, late_ns / 1e9),
            mean_ms=answer["mean_ns"] / 1e6,
            segments=tuple(spread_out(part) / 1e6 for part in answer["segments"]),
        )

    return run


def sought(run_ms: float, bounds: tuple[ResponseBound, ...], seconds: float = 30.0, batch: int = 1) -> Sought:
    services = Services(runs_ms=np.random.default_rng(0).normal(run_ms, 0.05 * run_ms, (25, 27)))
    latency = Quantity(value=run_ms, low=0.98 * run_ms, high=1.02 * run_ms)
    return Sought(
        bounds=bounds,
        seconds=seconds,
        path=services.path(np.random.default_rng(1), 40_000, batch),
        predicted=predicted_load(services, latency, bounds, batch),
    )


def test_what_is_claimed_is_below_what_the_server_can_do_and_near_it() -> None:
    asked = sought(1.0, (ResponseBound(share=0.9, most_ms=4.0),))
    found = LoadSearch(asked, server(1.0)).found()
    assert found.claimed is not None
    assert 0.85 * asked.predicted.value < found.claimed.value <= 1.02 * asked.predicted.value
    assert found.seconds <= 31
    assert [p.held for p in found.points if p.offered_per_s == found.claimed.value] == [Held.YES]
    assert all(p.independent >= 64 for p in found.points if p.held is Held.YES)
    assert len(found.points) >= 4  # a curve


def test_a_server_that_is_slower_than_predicted_is_found_out() -> None:
    bounds = (ResponseBound(share=0.9, most_ms=4.0),)
    found = LoadSearch(sought(1.0, bounds), server(1.5)).found()
    true = sought(1.5, bounds).predicted.value
    assert found.claimed is not None
    assert 0.8 * true < found.claimed.value <= 1.02 * true


def test_without_enough_samples_there_is_no_claim_and_nothing_is_run() -> None:
    search = LoadSearch(sought(100.0, (ResponseBound(share=0.99, most_ms=300.0),)), server(100.0))
    assert search.hopeless
    found = search.nothing_run()
    assert (found.claimed, found.no_claim) == (None, NoClaim.TOO_FEW)
    assert found.needed_s is not None
    assert found.needed_s > 100 * found.allowed_s / 30


def test_a_bound_that_nothing_holds_is_refuted_in_a_run() -> None:
    search = LoadSearch(sought(1.0, (ResponseBound(share=0.9, most_ms=0.5),)), server(1.0))
    assert not search.hopeless
    found = search.found()
    assert (found.claimed, found.no_claim) == (None, NoClaim.NEVER)
    assert throughput_of(found).value == 0


def test_a_generator_that_is_late_itself_is_not_the_models_fault() -> None:
    late = LoadSearch(sought(1.0, (ResponseBound(share=0.9, most_ms=4.0),)), server(9.0, late_ns=5_000_000))
    assert late.found().no_claim is NoClaim.GENERATOR


def test_a_bound_that_is_hours_long_needs_no_hours() -> None:
    found = LoadSearch(
        sought(1.0, (ResponseBound(share=0.9, most_ms=3.6e6),), seconds=8.0), server(1.0)
    ).found()
    assert found.claimed is not None
    assert found.claimed.value > 700
    assert found.seconds < 9


def test_without_a_limit_the_rate_back_to_back_counts() -> None:
    search = LoadSearch(sought(1.0, (), batch=4, seconds=8.0), server(1.0, batch=4))
    assert not search.hopeless
    found = search.found()
    assert found.claimed is not None
    assert found.claimed.value == pytest.approx(4_000, rel=0.02)
    assert [p.offered_per_s for p in found.points] == sorted(p.offered_per_s for p in found.points)


def point(rate: float, held: Held) -> LoadPoint:
    return LoadPoint(
        offered_per_s=rate, achieved_per_s=rate, p50_ms=1.0, requests=10, independent=10, held=held
    )


@pytest.mark.parametrize(
    ("claimed", "refuted", "value", "provenance"),
    [
        (90.0, None, 90.0, "measured"),
        (50.0, None, 100.0, "derived"),  # the time sufficed for no more
        (50.0, 60.0, 50.0, "measured"),
        (20.0, 60.0, 60.0, "derived"),
        (None, 60.0, 60.0, "derived"),
        (None, None, 100.0, "derived"),
        (None, 150.0, 100.0, "derived"),
    ],
)
def test_what_counts_as_the_throughput(
    claimed: float | None, refuted: float | None, value: float, provenance: str
) -> None:
    load = LoadCurve(
        limits=("latency_p99 <= 3 ms",),
        predicted=Quantity(value=100.0, provenance="derived"),
        claimed=None if claimed is None else Quantity(value=claimed),
        points=() if refuted is None else (point(refuted, Held.NO),),
    )
    found = throughput_of(load)
    assert (found.value, found.provenance) == (value, provenance)
    assert found.ends[0] <= found.value <= found.ends[1]


def test_conditions_are_the_absolute_upper_limits_on_latency() -> None:
    texts = (
        "latency <= 5 ms", "latency_p99 <= 40 ms", "latency_p90 <= 50 % of teacher", "throughput >= 50 /s",
        "size <= 1 MB", "latency_min <= 1 ms",
    )  # fmt: skip
    found = Conditions.of([parse_limit(text, "accuracy") for text in texts])
    assert found.texts == ("latency_p99 <= 40 ms", "latency <= 5 ms")
    assert found.bounds == (ResponseBound(share=0.99, most_ms=40.0), ResponseBound(share=0.5, most_ms=5.0))
    assert found.named == (50.0,)
