"""The latency protocol on a simulated machine whose true speeds are known, and on real runner processes."""

import json
import math
import random
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from paretune.backends.measure.latency import calibrate_loops, measure, warm_up
from paretune.backends.measure.samples import REFERENCE, Block, LatencyPlan, Rounds, Series, WarmUp
from paretune.backends.measure.spread import Spread, signed_rank_quantile
from paretune.backends.measure.summary import (
    _binomial_interval,
    _percentile,
    _student_half,
    compare,
    summarize,
)
from paretune.backends.runner.client import RunnerClient
from paretune.backends.runner.launch import LocalLaunch
from paretune.profiles.errors import StageError

pytestmark = pytest.mark.alone

QUICK = LatencyPlan(warm_up_s=0.0, block_ms=4.0, process_spread=0.0)


class Machine:
    """Slows down over time, in waves that last longer than a block, and in spikes."""

    def __init__(self, seed, drift=0.0, waves=0.0, spikes=0.0, noise=0.0):
        self.rng, self.now, self.wave = random.Random(seed), 0.0, 0.0
        self.drift, self.waves, self.spikes, self.noise = drift, waves, spikes, noise

    def take(self, nanoseconds):
        self.wave = 0.98 * self.wave + self.rng.gauss(0, 0.2) * self.waves
        factor = math.exp(self.wave + self.noise * abs(self.rng.gauss(0, 1))) * (1 + self.drift * self.now)
        took = nanoseconds * factor + (self.rng.expovariate(1e-6) if self.rng.random() < self.spikes else 0)
        self.now += took / 1e9
        return max(1, round(took))


class Model:
    def __init__(self, machine, run_ns):
        self.machine, self.run_ns, self.asked, self.gave = machine, run_ns, [], []

    def sample(self, loops, count):
        self.asked.append((loops, count))
        self.gave.append([self.machine.take(self.run_ns * loops) for _ in range(count)])
        return self.gave[-1]


def rounds_of(blocks, loops=1, processes=1, singles=None, plan=None, settled=True, steal=None):
    """A measurement with the given samples of one subject "a" in each round."""
    series = Series(
        loops=loops,
        processes=processes,
        warm_up=WarmUp(seconds=0.2, settled=settled),
        blocks=tuple(
            Block(process=i % processes, samples=tuple(b), singles=tuple(singles[i]) if singles else ())
            for i, b in enumerate(blocks)
        ),
    )
    return Rounds(plan=plan or QUICK, series={"a": series}, order=(("a",),) * len(blocks), steal_share=steal)


@pytest.mark.parametrize(("run_ns", "loops"), [(5_000_000, 1), (1_000_000, 1), (250_000, 5), (30, 34_000)])
def test_loops_reach_the_least_sample_and_not_much_more(run_ns, loops):
    found = calibrate_loops(Model(Machine(0), run_ns), 1.0)
    assert found * run_ns >= 1e6
    assert found <= loops


def test_loops_are_bounded_where_a_run_takes_no_time():
    class Nothing:
        def sample(self, loops, count):
            return [0] * count

    assert calibrate_loops(Nothing(), 1.0) == 1_000_000


def test_warm_up_waits_until_blocks_agree():
    class Settling(Model):
        def sample(self, loops, count):
            self.run_ns = max(1_000_000, self.run_ns * 0.7)
            return super().sample(loops, count)

    model = Settling(Machine(0), 8_000_000)
    found = warm_up(model, 1, 3, LatencyPlan(warm_up_s=0.0))
    assert found.settled
    assert model.run_ns == 1_000_000


def test_warm_up_ends_when_blocks_never_agree():
    class Restless(Model):
        def sample(self, loops, count):
            self.run_ns *= 1.5
            return super().sample(loops, count)

    found = warm_up(Restless(Machine(0), 1_000_000), 1, 3, LatencyPlan(warm_up_limit_s=1.0))
    assert not found.settled
    assert found.seconds >= 1.0


def test_everyone_runs_in_every_round_in_an_order_that_the_seed_decides():
    def run(seed):
        models = {name: Model(Machine(0), 1_000_000) for name in "abc"}
        plan = LatencyPlan(warm_up_s=0, seed=seed)
        return measure(models, Model(Machine(0), 1_000_000), plan)

    first, again, other = run(1), run(1), run(2)
    assert first == again
    assert first.order != other.order
    assert len(first.order) == 25
    assert {frozenset(names) for names in first.order} == {frozenset(["a", "b", "c", REFERENCE])}
    assert len(set(first.order)) > 10


def test_nothing_is_dropped():
    model = Model(Machine(0, spikes=0.3), 300_000)
    found = measure({"a": model}, None, QUICK)
    series = found.series["a"]
    recorded = [list(part) for block in series.blocks for part in (block.samples, block.singles)]
    assert recorded == model.gave[-len(recorded) :]
    assert all(len(block.samples) >= 3 for block in series.blocks)


def test_raw_samples_survive_as_json():
    machine = Machine(0, spikes=0.1)
    found = measure(
        {"a": [Model(machine, 300_000)] * 3}, Model(machine, 200_000), QUICK, ticks=lambda: (1,) * 8
    )
    text = json.dumps(found.to_json())
    assert Rounds.from_json(json.loads(text)) == found
    assert summarize(Rounds.from_json(json.loads(text)), "a") == summarize(found, "a")


def test_ratio_and_latency_are_right_while_the_machine_slows_down():
    machine = Machine(3, drift=1.0, waves=0.1, spikes=0.02, noise=0.01)
    found = measure({"fast": Model(machine, 400_000)}, Model(machine, 800_000), LatencyPlan(warm_up_s=0))
    ratio = summarize(found, "fast").ratio
    assert ratio.value == pytest.approx(0.5, rel=0.02)
    assert ratio.low < 0.5 < ratio.high
    assert ratio.high < 1
    assert compare(found, REFERENCE, "fast").value == pytest.approx(1 / ratio.value)
    same = compare(found, "fast", "fast")
    assert same.low <= 1 <= same.high
    assert "drifted" in summarize(found, "fast").verdict


NOISE = {
    "spikes": {"spikes": 0.05, "noise": 0.01},
    "waves": {"waves": 0.1, "noise": 0.005},
    "drift": {"drift": 0.3, "spikes": 0.02, "noise": 0.01},
}


@pytest.mark.parametrize("kind", NOISE)
@pytest.mark.parametrize("processes", [1, 5])
def test_intervals_hold_what_they_promise(kind, processes):
    held, trials = 0, 600
    plan = LatencyPlan(warm_up_s=0, block_ms=3.0, process_spread=0.003)
    for trial in range(trials):
        machine, placed = Machine(trial, **NOISE[kind]), random.Random(trial)
        sides = [
            [Model(machine, 1_000_000 * math.exp(placed.gauss(0, 0.003))) for _ in range(processes)]
            for _ in range(2)
        ]
        found = compare(measure({"a": sides[0]}, sides[1], plan), "a", REFERENCE)
        held += found.low <= 1 <= found.high
    assert 0.925 <= held / trials <= 0.98


def test_intervals_of_percentiles_and_minima_hold_what_they_promise():
    """Independent spikes: the p90 of very many runs is the truth; a minimum is met again by another try."""
    machine = Machine(0, **NOISE["spikes"])
    p90 = float(np.quantile([machine.take(1_000_000) for _ in range(200_000)], 0.9)) / 1e6
    plan = LatencyPlan(warm_up_s=0, block_ms=6.0, process_spread=0.0)
    found = []
    for trial in range(400):
        machine = Machine(trial, **NOISE["spikes"])
        measured = measure({"a": Model(machine, 1_000_000)}, Model(machine, 1_000_000), plan)
        found.append(summarize(measured, "a"))
    held = [one.p90_ms.low <= p90 <= one.p90_ms.high for one in found]
    assert 0.93 <= np.mean(held) <= 0.99
    again = [a.minimum_ms.low <= b.minimum_ms.value <= a.minimum_ms.high for a, b in pairwise(found)]
    assert np.mean(again) >= 0.93


def test_shares_between_which_a_percentile_falls_are_those_of_the_binomial_distribution():
    # Published tables of order statistics for the median: with 25 values the 8th and the 18th hold 95.7 %.
    below, above = _binomial_interval(25, 0.5)
    assert (round(below * 25), round(above * 25)) == (8, 18)
    assert _binomial_interval(0, 0.9) == (0.0, 1.0)


def test_percentiles_and_minima_are_widened_by_what_processes_differ():
    blocks = rounds_of([[1_000_000] * 40] * 25, plan=LatencyPlan(process_spread=0.01))
    found = summarize(blocks, "a")
    for estimate in (found.p90_ms, found.minimum_ms):
        assert estimate.value == 1.0
        assert math.log(estimate.high) == pytest.approx(1.96 * 0.01, rel=0.01)
        assert math.log(estimate.low) == pytest.approx(-1.96 * 0.01, rel=0.01)


def test_processes_take_turns_and_take_part_equally():
    processes = [Model(Machine(0), 1_000_000) for _ in range(4)]
    found = measure({"a": processes}, None, LatencyPlan(warm_up_s=0, rounds=25))
    assert [block.process for block in found.series["a"].blocks] == [0, 1, 2, 3] * 7


def test_quantiles_are_the_tables():
    # Published tables of the signed-rank statistic (two-sided 5 %) and of Student's t.
    assert [signed_rank_quantile(n) for n in (5, 6, 10, 20, 25, 30)] == [-1, 0, 8, 52, 89, 137]
    values = np.array([0.0, 1.0] * 2 + [0.5])
    assert _student_half(values) == pytest.approx(2.7764 * 0.5 / math.sqrt(5), rel=1e-4)
    many = np.random.default_rng(0).normal(size=21)
    assert _student_half(many) == pytest.approx(2.0860 * many.std(ddof=1) / math.sqrt(21), rel=1e-3)


def test_percentiles_need_samples():
    few = summarize(rounds_of([[1_000_000 + i] * 2 for i in range(25)]), "a")
    assert (few.p90_ms, few.p99_ms) == (None, None)
    rng = np.random.default_rng(0)
    many = rounds_of([rng.exponential(1e6, 40).astype(int) for _ in range(25)])
    found = summarize(many, "a")
    assert found.p90_ms.value == pytest.approx(math.log(10), rel=0.1)
    assert found.p99_ms.value == pytest.approx(math.log(100), rel=0.2)
    for estimate, truth in ((found.p90_ms, math.log(10)), (found.p99_ms, math.log(100))):
        assert estimate.low < truth < estimate.high
    assert found.p99_ms.high - found.p99_ms.low > found.p90_ms.high - found.p90_ms.low


def test_percentiles_need_independent_samples():
    # 1000 runs, but all slow ones in 3 of 25 blocks: that is one burst seen often, not a tail.
    blocks = [[5_000_000 + i if r < 3 else 1_000_000 + i for i in range(40)] for r in range(25)]
    estimate, samples = _percentile(rounds_of(blocks).series["a"], 0.90, Spread(deviation=0.0))
    assert samples < 64
    assert (estimate.low < 1.1, estimate.high > 4.9) == (True, True)
    assert summarize(rounds_of(blocks), "a").p90_ms is None


def test_percentiles_of_quick_models_come_from_single_runs():
    singles = [[10_000, 20_000] * 20] * 25
    found = summarize(rounds_of([[1_500_000] * 15] * 25, loops=100, singles=singles), "a")
    assert found.latency_ms.value == pytest.approx(0.015)
    assert found.p90_ms.value == pytest.approx(0.020)
    quick = Model(Machine(0), 10_000)
    measured = measure({"a": quick}, None, LatencyPlan(warm_up_s=0))
    assert measured.series["a"].loops >= 100
    assert summarize(measured, "a").p99_samples >= 662


STEADY = [[1_000_000, 1_000_100]] * 25


@pytest.mark.parametrize(
    ("rounds", "verdict"),
    [
        (rounds_of(STEADY), "stable"),
        (rounds_of(STEADY[:8]), "too few rounds (8, at least 9 are needed)"),
        (rounds_of(STEADY, settled=False), "noisy because it did not settle during warm-up"),
        (rounds_of(STEADY, steal=0.08), "noisy because 8.0 % of processor time was taken by other machines"),
        (replace(rounds_of(STEADY), beside="a training went on"), "noisy because a training went on"),
        (
            rounds_of([[1_000_000 + 10_000 * i] for i in range(25)]),
            "noisy because the machine's speed drifted by 16.4 %",
        ),
    ],
)
def test_verdicts(rounds, verdict):
    assert summarize(rounds, "a").verdict == verdict
    assert Rounds.from_json(rounds.to_json()) == rounds


def test_wide_intervals_are_noisy_and_very_few_rounds_have_none():
    rng = np.random.default_rng(0)
    noisy = rounds_of([[int(1e6 * math.exp(rng.normal(0, 0.5)))] for _ in range(12)])
    assert "the interval is ± " in summarize(noisy, "a").verdict
    found = summarize(rounds_of(STEADY[:5]), "a").latency_ms
    assert (found.low, found.high) == (None, None)


def test_slow_models_get_fewer_rounds_but_not_too_few():
    plan = LatencyPlan(limit_s=10, warm_up_s=0, warm_up_limit_s=1)
    found = measure({"a": Model(Machine(0), 200_000_000)}, None, plan)
    assert len(found.order) == 16
    found = measure({"a": Model(Machine(0), 2_000_000_000)}, None, plan)
    assert len(found.order) == plan.min_rounds


def test_rounds_end_where_the_ratio_is_known_closely_enough():
    def rounds(share, noise, subjects=1, **changes):
        machine = Machine(0, noise=noise)
        plan = LatencyPlan(warm_up_s=0, enough_share=share, **changes)
        everyone = {str(i): Model(machine, 1_000_000 * (i + 1)) for i in range(subjects)}
        return len(measure(everyone, Model(machine, 3_000_000), plan).order)

    assert rounds(0.005, noise=0.0) == 9
    assert rounds(0.005, noise=0.0, subjects=3) == 9
    assert rounds(0.0, noise=0.0) == 25
    assert rounds(0.005, noise=0.3) == 25
    assert 9 < rounds(0.005, noise=0.05, rounds=400) < 400
    machine = Machine(0)
    pairs = [[Model(machine, 1_000_000) for _ in range(5)] for _ in range(2)]
    plan = LatencyPlan(warm_up_s=0, enough_share=0.005)
    assert len(measure({"a": pairs[0]}, pairs[1], plan).order) == 25, "processes each need their turns"


@pytest.mark.parametrize("kind", [{"noise": 0.01}, {"spikes": 0.02, "noise": 0.01}, {"waves": 0.02}])
def test_intervals_hold_where_rounds_ended_early(kind):
    held, ended = 0, 0
    for trial in range(200):
        machine = Machine(trial, **kind)
        plan = LatencyPlan(warm_up_s=0, block_ms=4.0, process_spread=0.0, enough_share=0.005, seed=trial)
        found = measure({"a": Model(machine, 1_000_000)}, Model(machine, 2_000_000), plan)
        ratio = summarize(found, "a").ratio
        held += ratio.low <= 0.5 <= ratio.high
        ended += len(found.order) < 25
    assert held >= 180, "two standard deviations under 93 of 100"
    assert ended or "waves" in kind


def test_a_warm_reference_need_not_run_for_the_least_time():
    machine = Machine(0)
    plan = LatencyPlan(warm_up_s=0.5)
    cold, warm = (
        measure({"a": Model(machine, 1_000_000)}, Model(machine, 1_000_000), plan, warm_reference=w)
        for w in (False, True)
    )
    assert cold.series[REFERENCE].warm_up.seconds >= 0.5
    assert warm.series[REFERENCE].warm_up.seconds < 0.1
    assert warm.series[REFERENCE].warm_up.settled
    assert warm.series["a"].warm_up.seconds >= 0.5


class Breaking(Model):
    def sample(self, loops, count):
        if len(self.asked) > 20:
            raise StageError("measure", "killed by signal 11 (segmentation fault)", "the log")
        return super().sample(loops, count)


def test_a_subject_that_breaks_does_not_take_the_others_with_it():
    machine = Machine(0)
    subjects = {"bad": Breaking(machine, 1_000_000), "good": Model(machine, 1_000_000)}
    found = measure(subjects, Model(machine, 1_000_000), LatencyPlan(warm_up_s=0))
    assert len(found.series["good"].blocks) == 25
    assert summarize(found, "good").ratio.value == pytest.approx(1.0)
    with pytest.raises(StageError, match="signal 11") as caught:
        summarize(found, "bad")
    assert caught.value.log == "the log"
    with pytest.raises(StageError, match="signal 11"):
        compare(found, "good", "bad")
    with pytest.raises(StageError, match="signal 11"):
        measure({"good": Model(machine, 1_000_000)}, Breaking(machine, 1_000_000), LatencyPlan(warm_up_s=0))


def test_impossible_requests_are_refused():
    model = Model(Machine(0), 1_000_000)
    with pytest.raises(ValueError, match="at least one subject"):
        measure({}, model)
    with pytest.raises(ValueError, match="none of them called 'reference'"):
        measure({REFERENCE: model}, None)
    with pytest.raises(ValueError, match=r"\[2, 3\] processes"):
        measure({"a": [model] * 2, "b": [model] * 3}, None)


def test_real_processes(tmp_path):
    path = tmp_path / "model.txt"
    path.write_text("a=1")
    launch = LocalLaunch(path=(str(Path(__file__).resolve().parents[1] / "runner"),))
    feed = {"x": np.zeros((1, 3), np.float32)}
    with RunnerClient(launch) as one, RunnerClient(launch) as two:
        for runner in (one, two):
            runner.open("scripted_backend:ScriptedBackend", path, 1, 1)
            runner.prepare(feed)
        plan = LatencyPlan(rounds=10, block_ms=2, warm_up_s=0.01)
        found = measure({"a": one}, two, plan)
    summary = summarize(found, "a")
    assert found.series["a"].loops > 1
    assert 0 < summary.minimum_ms.value <= summary.latency_ms.value
    assert summary.ratio.low <= summary.ratio.value <= summary.ratio.high
