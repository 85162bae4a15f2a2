"""Sensitivity of layers: which are looked at, what one float layer changes, what order follows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from contracts.ladder_table import FOUR, GROUPS, TableBench, at
from paretune.backends.contract.backend import LayerGroup
from paretune.profiles.errors import StageError, UnsupportedError
from paretune.search.ladder.sensitivity import Sensitivity, analysed, chosen_groups
from paretune.search.record.treatment import Treatment


def noise_by_layer(**power: float):
    return lambda t: sum(v for name, v in power.items() if name not in t.keep_float)


def test_all_groups_are_looked_at_where_they_are_few():
    assert chosen_groups(GROUPS, 12) == list(GROUPS)


def test_the_ends_the_heaviest_and_the_lightest_are_looked_at_where_they_are_many():
    weights = (7, 1, 900, 40, 50, 60, 800, 2, 5)
    groups = [LayerGroup(name=f"g{i}", layers=(f"g{i}",), weights=w) for i, w in enumerate(weights)]
    assert [group.name for group in chosen_groups(groups, 6)] == ["g0", "g1", "g2", "g6", "g7", "g8"]
    assert [group.name for group in chosen_groups(groups, 2)] == ["g0", "g8"]


def test_each_group_is_reverted_alone_once_on_a_subset():
    bench = TableBench(quality=lambda t: 0.93 + 0.03 * ("layer1" in t.keep_float), layer_groups=FOUR)
    bench.noise = noise_by_layer(layer0=0.001, layer1=0.006, layer2=0.0005, layer3=0.0025)
    found = analysed(bench, at(bench), 12)
    shares = {one.group.name: one.noise_removed for one in found.ordered}
    assert shares == pytest.approx({"layer1": 0.6, "layer3": 0.25, "layer0": 0.1, "layer2": 0.05})
    assert [one.group.name for one in found.ordered] == ["layer1", "layer3", "layer0", "layer2"]
    assert found.ordered[0].quality_gain == pytest.approx(0.03)
    assert bench.tries == [], "nothing was scored on all of validation"
    assert found.base.latency_ms == 1.0


def test_a_group_that_costs_much_latency_comes_later():
    bench = TableBench(quality=lambda t: 0.93, layer_groups=FOUR)
    bench.noise = noise_by_layer(layer0=0.004, layer1=0.006)
    bench.latency = lambda t: 1.0 + 0.05 * ("layer0" in t.keep_float) + 0.4 * ("layer1" in t.keep_float)
    found = analysed(bench, at(bench), 12)
    assert [one.group.name for one in found.ordered] == ["layer0", "layer1"]
    assert found.ordered[1].latency_lost_ms == pytest.approx(0.4)


def test_what_cannot_be_measured_costs_a_hundredth():
    noise = Sensitivity(group=FOUR[0], noise_removed=0.5, quality_gain=0.0, latency_lost_ms=-0.02)
    assert noise.per_ms(0.04, 2.0) == pytest.approx(0.01 / 0.02)


def test_the_clocks_noise_does_not_decide_the_order():
    bench = TableBench(quality=lambda t: 0.93, layer_groups=FOUR)
    bench.noise = noise_by_layer(layer0=0.004, layer1=0.006)
    bench.latency = lambda t: 1.0 + 0.05 * ("layer1" in t.keep_float) - 0.05 * ("layer0" in t.keep_float)
    assert [one.group.name for one in analysed(bench, at(bench), 12).ordered] == ["layer0", "layer1"]
    bench.latency_noise = 0.06
    assert [one.group.name for one in analysed(bench, at(bench), 12).ordered] == ["layer1", "layer0"]


def test_a_group_that_takes_no_noise_away_is_not_measured():
    bench = TableBench(quality=lambda t: 0.93, layer_groups=FOUR)
    bench.noise = noise_by_layer(layer0=0.004, layer1=0.00001)
    start = at(bench)
    bench.clock = 0.0
    analysed(bench, start, 12)
    # Once all quantized, and four groups alone; measured is the first, and the group that matters.
    assert bench.clock == 5 * 2.0 + 2 * 1.0


def test_groups_that_cannot_be_reverted_alone_are_passed_over():
    def quality(treatment: Treatment) -> float:
        if treatment.keep_float == ("layer0",):
            raise UnsupportedError("int8 would reach 40 % of the weights")
        if treatment.keep_float == ("layer1",):
            raise StageError("compile", "crashed")
        return 0.93

    bench = TableBench(quality=quality, layer_groups=FOUR)
    bench.noise = noise_by_layer(layer2=0.004, layer3=0.006)
    found = analysed(bench, at(bench), 12)
    assert [one.group.name for one in found.ordered] == ["layer3", "layer2"]


def test_it_ends_with_the_time():
    bench = TableBench(quality=lambda t: 0.93, layer_groups=FOUR)
    bench.noise = noise_by_layer(layer0=0.004, layer1=0.004, layer2=0.004)
    start = at(bench)
    found = analysed(bench, replace(start, deadline=bench.now() + 4.0), 12)
    assert len(found.ordered) == 1


def test_outputs_that_are_not_finite_say_nothing():
    bench = TableBench(quality=lambda t: 0.93, layer_groups=FOUR)
    bench.noise = lambda t: float("nan") if t.keep_float else 0.01
    assert analysed(bench, at(bench), 12).ordered == ()
