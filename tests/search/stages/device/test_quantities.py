"""Latency figures as the record keeps them: every one that can rank has an interval."""

from __future__ import annotations

import random

from paretune.backends.measure.latency import measure
from paretune.backends.measure.samples import LatencyPlan
from paretune.backends.measure.summary import summarize
from paretune.search.ranking.pareto import overlap
from paretune.search.record.evaluation import Quantity
from paretune.search.stages.device.quantities import latency_quantities


class Wobbly:
    """A model of 1 ms on a simulated machine with independent noise."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def sample(self, loops: int, count: int) -> list[int]:
        return [round(1e6 * loops * (1 + 0.02 * self.random.random())) for _ in range(count)]


def quantities(seed: int, **more: float) -> dict[str, Quantity]:
    rounds = measure({"a": Wobbly(seed)}, Wobbly(seed + 1000), LatencyPlan(warm_up_s=0.0, rounds=60))
    return dict(latency_quantities(summarize(rounds, "a"), **more))


def test_the_same_model_measured_twice_is_a_tie_by_every_latency() -> None:
    one, two = quantities(1), quantities(2)
    assert set(one) == {"latency_ms", "latency_min_ms", "latency_p90_ms", "latency_p99_ms", "latency_ratio"}
    for name, quantity in one.items():
        assert quantity.low < quantity.value < quantity.high, name
        assert overlap(quantity, two[name]), name


def test_with_the_reference_s_time_latency_is_the_ratio_in_its_unit() -> None:
    found = quantities(1, reference_ms=5.0)
    ratio, latency = found["latency_ratio"], found["latency_ms"]
    assert (latency.value, latency.low, latency.high) == (5 * ratio.value, 5 * ratio.low, 5 * ratio.high)
    assert "times the reference's 5 ms" in latency.how
