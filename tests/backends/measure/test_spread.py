"""What processes of one model differ by: found where the truth is known, and what it does to intervals."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from paretune.backends.measure.latency import measure
from paretune.backends.measure.samples import REFERENCE, LatencyPlan
from paretune.backends.measure.spread import Spread, spread_among, take_turns, widened_by
from paretune.backends.measure.summary import compare, summarize

PLAN = LatencyPlan(warm_up_s=0, block_ms=3.0)
PROCESSES = 5


class Process:
    """A process of a model that runs for a millisecond, quicker or slower by chance for as long as it lives;
    each sample is disturbed by `noise`, always to the slower side."""

    def __init__(self, rng: random.Random, spread: float, noise: float, run_ns: float = 1e6) -> None:
        self.rng, self.noise = rng, noise
        self.run_ns = run_ns * math.exp(rng.gauss(0, spread))

    def sample(self, loops: int, count: int) -> list[int]:
        return [
            round(self.run_ns * loops * math.exp(self.noise * abs(self.rng.gauss(0, 1))))
            for _ in range(count)
        ]


def processes(rng: random.Random, spread: float, noise: float, count: int = PROCESSES) -> list[Process]:
    return [Process(rng, spread, noise) for _ in range(count)]


def a_a(reference: list[Process]) -> Spread | None:
    plan = LatencyPlan(warm_up_s=0, block_ms=3.0, rounds=15)
    return spread_among(measure({str(i): one for i, one in enumerate(reference)}, None, plan))


def share_held(spread: float, noise: float, *, early: bool = False, trials: int = 500) -> float:
    """How often the interval of one process against the reference's processes holds the true ratio."""
    held = 0
    for trial in range(trials):
        rng = random.Random(trial)
        reference = processes(rng, spread, noise)
        known = a_a(reference)
        plan = LatencyPlan(warm_up_s=0, block_ms=3.0, enough_share=0.005 if early else 0.0, seed=trial)
        rounds = measure({"a": Process(rng, spread, noise, 5e5)}, reference, plan)
        found = compare(rounds, "a", REFERENCE, known)
        held += found.low is not None and found.high is not None and found.low <= 0.5 <= found.high
    return held / trials


@pytest.mark.parametrize("spread", [0.002, 0.02, 0.08])
@pytest.mark.parametrize("early", [False, True])
def test_one_process_is_held_to_what_processes_differ_by(spread: float, early: bool) -> None:
    assert 0.93 <= share_held(spread, noise=0.004, early=early) <= 0.97


@pytest.mark.parametrize(("spread", "noise"), [(0.002, 0.02), (0.02, 0.05)])
def test_noise_beside_it_makes_intervals_no_narrower_than_they_may_be(spread: float, noise: float) -> None:
    assert 0.93 <= share_held(spread, noise) <= 0.985


def test_a_machine_that_changed_since_is_noticed() -> None:
    """An A/A that told of 0.2 %, on cores that differ by 8 % now."""
    held = 0
    for trial in range(300):
        rng = random.Random(trial)
        known = a_a(processes(rng, 0.002, 0.004))
        reference = processes(rng, 0.08, 0.004)
        rounds = measure({"a": Process(rng, 0.08, 0.004)}, reference, PLAN)
        found = compare(rounds, "a", REFERENCE, known)
        held += found.low is not None and found.high is not None and found.low <= 1 <= found.high
    assert held >= 0.92 * 300


class TwoCores:
    """A machine whose second core is slower by a share that wanders from one measurement to the next."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.slower = rng, 0.22

    def wander(self) -> None:
        self.slower = min(0.3, max(0.0, self.slower + self.rng.gauss(0, 0.05)))


class Unpinned(Process):
    """A process that the system moves to the other core now and then."""

    def __init__(self, machine: TwoCores, moves: float) -> None:
        super().__init__(machine.rng, 0.002, 0.004)
        self.machine, self.moves, self.second = machine, moves, machine.rng.random() < 0.5

    def sample(self, loops: int, count: int) -> list[int]:
        self.second ^= self.rng.random() < self.moves
        factor = math.exp(self.machine.slower * self.second)
        return [round(took * factor) for took in super().sample(loops, count)]


@pytest.mark.parametrize("moves", [0.0, 0.05, 0.5])
def test_processes_on_cores_of_unlike_speed_that_changes_over_a_study(moves: float) -> None:
    held, trials = 0, 0
    for study in range(60):
        machine = TwoCores(random.Random(study))
        reference: list[Process] = [Unpinned(machine, moves) for _ in range(PROCESSES)]
        known = a_a(reference)
        for _ in range(5):
            machine.wander()
            found = compare(measure({"a": Unpinned(machine, moves)}, reference, PLAN), "a", REFERENCE, known)
            held += found.ends[0] <= 1 <= found.ends[1]
            trials += 1
    assert held / trials >= 0.93


@pytest.mark.parametrize("spread", [0.002, 0.02, 0.08])
def test_an_a_a_finds_the_spread(spread: float) -> None:
    found = [a_a(processes(random.Random(trial), spread, 0.002)) for trial in range(200)]
    variances = [one.deviation**2 for one in found if one is not None]
    assert len(variances) == 200
    assert math.sqrt(np.mean(variances)) == pytest.approx(spread, rel=0.15)


def test_an_a_a_needs_three_processes() -> None:
    assert a_a(processes(random.Random(0), 0.02, 0.0, count=2)) is None
    found = a_a(processes(random.Random(0), 0.02, 0.0, count=3))
    assert found is not None
    assert found.processes == 3


def test_few_processes_count_for_less() -> None:
    assumed, many = Spread(deviation=0.01), Spread(deviation=0.01, processes=60)
    few = Spread(deviation=0.01, processes=5)
    assert assumed.half(1) == pytest.approx(1.96 * 0.01, rel=1e-3)
    assert many.half(1) == pytest.approx(2.0010 * 0.01, rel=1e-3)  # the tables' t with 59 and with 4
    assert few.half(2) == pytest.approx(2.7764 * 0.01 * math.sqrt(2), rel=1e-3)
    assert few.told_apart(PLAN) == pytest.approx(2 * 2.7764 * 0.01 * math.sqrt(1.2), rel=0.05)


def test_noise_hides_differences_too_unless_more_rounds_are_taken() -> None:
    noisy = Spread(deviation=0.0, processes=5, noise=0.05)
    left = 2 * 1.96 * 0.05 * math.sqrt(2 / 25)
    assert noisy.told_apart(PLAN) == pytest.approx(left, rel=0.05)
    assert noisy.told_apart(LatencyPlan(rounds=400)) == pytest.approx(left / 4, rel=0.05)
    early = LatencyPlan(rounds=400, enough_share=0.01)
    assert noisy.told_apart(early) == pytest.approx(0.02, rel=0.05), "rounds end there"
    quiet = Spread(deviation=0.0, processes=5, noise=0.001)
    assert quiet.told_apart(early) < 0.003, "the fewest rounds tell more than is asked for"


def test_what_was_known_stands_unless_rounds_show_much_more() -> None:
    rng = np.random.default_rng(0)
    offsets = np.array([-0.02, -0.01, 0.0, 0.01, 0.02])
    turns = take_turns(np.resize(offsets, 25) + rng.normal(0, 0.001, 25), PROCESSES)
    assert turns.centres == pytest.approx(offsets, abs=0.002)
    assert turns.noise_half < 0.002, "what processes differ by is not noise"
    assert widened_by(None, turns).deviation == pytest.approx(offsets.std(ddof=1), rel=0.1)
    near, far = Spread(deviation=0.01, processes=5), Spread(deviation=0.001, processes=5)
    assert widened_by(near, turns) is near
    assert widened_by(far, turns).deviation == pytest.approx(offsets.std(ddof=1), rel=0.1)


def test_absolute_latencies_and_percentiles_are_widened_too() -> None:
    steady = measure({"a": Process(random.Random(0), 0.0, 0.0)}, None, PLAN)
    narrow, wide = (
        summarize(steady, "a", Spread(deviation=deviation, processes=5)) for deviation in (0.0, 0.01)
    )
    for name in ("latency_ms", "minimum_ms", "p90_ms"):
        thin, thick = getattr(narrow, name), getattr(wide, name)
        assert thin.high == pytest.approx(thin.value, rel=1e-3)
        assert math.log(thick.high / thick.value) == pytest.approx(2.7764 * 0.01, rel=0.05)


def test_a_slower_process_of_the_reference_is_no_drift() -> None:
    rng = random.Random(0)
    reference = [Process(rng, 0.0, 0.001, 1e6 * (1.25 if i % 2 else 1.0)) for i in range(PROCESSES)]
    rounds = measure({"a": Process(rng, 0.0, 0.001)}, reference, PLAN)
    assert "drifted" not in summarize(rounds, "a", Spread(deviation=0.0, processes=5)).verdict


def test_rounds_end_early_only_after_equal_turns() -> None:
    rng = random.Random(0)
    plan = LatencyPlan(warm_up_s=0, block_ms=3.0, enough_share=0.005)
    rounds = measure({"a": Process(rng, 0.1, 0.0)}, processes(rng, 0.1, 0.0), plan)
    assert [block.process for block in rounds.series[REFERENCE].blocks] == [0, 1, 2, 3, 4] * 2
