"""From which round on a device was slowed down: found where it was, and not where a core was merely idle."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from paretune.backends.watch.slowdown import Readings, quota_cut, slowdown
from paretune.backends.watch.state import Card, Quota, State
from paretune.profiles.watched import CLOCK, COUNT, FLAG, REFERENCE

ROUNDS = 25
COLD = State(seconds=0.0, slowed=(), was_slowed=())


def readings(states: Sequence[State]) -> Readings:
    """One before the rounds, one after each of them."""
    return [(done, replace(state, seconds=float(done))) for done, state in enumerate(states)]


def steady(count: int = ROUNDS) -> list[float]:
    return [1.0] * count


def test_a_flag_from_a_round_on() -> None:
    hot = State(seconds=0.0, slowed=("soft temperature limit",))
    seen = readings([COLD] * 12 + [hot] * 14)
    found = slowdown(seen, [1.0] * 11 + [1.25] * 14)
    assert found is not None
    assert (found.first_round, found.last_round, found.known_by) == (12, None, FLAG)
    assert (found.cause, found.slower) == ("soft temperature limit", 0.25)


@pytest.mark.parametrize(
    ("hot_at", "first", "last"),
    [({0}, 1, 1), (set(range(26)), 1, None), ({5, 6, 9}, 5, 9), ({25}, 25, None), ({0, 25}, 1, None)],
)
def test_where_flags_come_and_go(hot_at: set[int], first: int, last: int | None) -> None:
    hot = State(seconds=0.0, slowed=("throttled",))
    found = slowdown(readings([hot if done in hot_at else COLD for done in range(26)]), steady())
    assert found is not None
    assert (found.first_round, found.last_round) == (first, last)


def test_what_was_flagged_before_is_no_news_and_what_is_since_then_is() -> None:
    ever = State(seconds=0.0, slowed=(), was_slowed=("under-voltage",))
    assert slowdown(readings([ever] * 26), steady()) is None
    found = slowdown(readings([COLD] * 10 + [ever] * 16), steady())
    assert found is not None
    assert (found.first_round, found.cause) == (10, "under-voltage")


def test_a_card_that_is_slowed_down() -> None:
    card = State(seconds=0.0, gpus=(Card(slowed=("GPU: clock lowered for heat",)),))
    quiet = State(seconds=0.0, gpus=(Card(slowed=()),))
    found = slowdown(readings([quiet] * 3 + [card] * 23), steady())
    assert found is not None
    assert (found.first_round, found.known_by) == (3, FLAG)


def test_counters_that_grow() -> None:
    counted = [replace(COLD, counts={"core_throttle_count": 5 + max(0, done - 14)}) for done in range(26)]
    found = slowdown(readings(counted), steady())
    assert found is not None
    assert (found.first_round, found.last_round, found.known_by) == (15, None, COUNT)
    assert slowdown(readings([replace(COLD, counts={"core_throttle_count": 7})] * 26), steady()) is None


def clocked(mhz: Sequence[float], warm: Sequence[float] | None = None) -> Readings:
    degrees = warm or [50.0] * len(mhz)
    return readings(
        [
            State(seconds=0.0, clock_mhz={"3": one}, temperature_c={"cpu": c})
            for one, c in zip(mhz, degrees, strict=True)
        ]
    )


def test_a_clock_that_falls_and_stays_low_while_the_reference_takes_longer() -> None:
    warm = [50 + done for done in range(26)]
    found = slowdown(clocked([2400] * 12 + [1500] * 14, warm), [1.0] * 11 + [1.5] * 14)
    assert found is not None
    assert (found.first_round, found.last_round, found.known_by) == (12, None, CLOCK)
    assert (found.cause, found.slower) == ("heat", 0.5)
    no_warmer = slowdown(clocked([2400] * 12 + [1500] * 14), [1.0] * 11 + [1.5] * 14)
    assert no_warmer is not None
    assert no_warmer.cause == ""


@pytest.mark.parametrize(
    ("mhz", "took"),
    [
        ([2400] * 12 + [1500] * 14, steady()),  # the core was idle when it was read
        ([2400] * 12 + [1500] * 7 + [2400] * 7, [1.0] * 11 + [1.5] * 7 + [1.0] * 7),  # it came back
        ([2400] * 12 + [2300] * 14, [1.0] * 11 + [1.05] * 14),  # not much
        ([1500] * 12 + [2400] * 14, [1.5] * 11 + [1.0] * 14),  # it woke up
        ([2400, 600] * 13, steady()),
    ],
)
def test_a_low_clock_alone_is_no_slowdown(mhz: list[float], took: list[float]) -> None:
    assert slowdown(clocked(mhz), took) is None


def test_the_reference_alone_where_nothing_can_be_read() -> None:
    plain = readings([State(seconds=0.0)] * 26)
    found = slowdown(plain, [1.0] * 14 + [1.2] * 11, "other machines took processor time")
    assert found is not None
    assert (found.first_round, found.known_by, found.slower) == (15, REFERENCE, 0.2)
    assert found.cause == "other machines took processor time"
    assert slowdown(plain, [1.0] * 14 + [1.05] * 11) is None
    assert slowdown(plain, [1.0, 1.3] * 12) is None
    assert slowdown(plain, [1.2] * 14 + [1.0] * 11) is None, "it became quicker"
    assert slowdown(plain, [1.0] * 22 + [1.5] * 3) is None, "too few to tell"
    assert slowdown(clocked([2400] * 26), [1.0] * 14 + [1.2] * 11) is None, "its clock tells otherwise"


@pytest.mark.parametrize("idle", [0.3, 0.6, 0.9])
def test_idle_cores_between_blocks_raise_no_alarm(idle: float) -> None:
    """400 measurements, a clock read while the core is idle in so large a share of the readings."""
    rng, alarms = random.Random(1), 0
    for _ in range(400):
        mhz = [rng.choice([600.0, 1000, 1500]) if rng.random() < idle else 2400.0 for _ in range(26)]
        warm = [50 + done / 3 for done in range(26)]
        alarms += slowdown(clocked(mhz, warm), [1 + abs(rng.gauss(0, 0.02)) for _ in range(25)]) is not None
    assert alarms == 0


def test_falls_are_found_among_idle_readings() -> None:
    rng, found = random.Random(2), 0
    for _ in range(200):
        mhz = [2400.0] * 12 + [1680.0] * 14
        mhz = [rng.choice([600.0, 1000]) if rng.random() < 0.3 else one for one in mhz]
        took = [(1.0 if done < 11 else 1.43) * (1 + abs(rng.gauss(0, 0.01))) for done in range(25)]
        seen = slowdown(clocked(mhz), took)
        found += seen is not None and abs(seen.first_round - 12) <= 2
    assert found > 180


@pytest.mark.parametrize("took", [[], [1.0], [0.0] * 25])
def test_measurements_with_nothing_to_compare(took: list[float]) -> None:
    assert slowdown([], took) is None
    assert slowdown(readings([COLD]), took) is None
    hot = slowdown(readings([replace(COLD, slowed=("throttled",))]), took)
    assert hot is not None
    assert hot.slower is None


def test_periods_of_a_quota_during_the_rounds() -> None:
    quotas = [Quota(cores=1.0, periods=100 + done, throttled=7 + done // 2) for done in range(26)]
    assert quota_cut(readings([replace(COLD, quota=one) for one in quotas])) == (12, 25)
    assert quota_cut(readings([COLD] * 3)) == (0, 0)
    moved = [Quota(cores=1.0, periods=9, throttled=9), Quota(cores=1.0)]  # to another group meanwhile
    assert quota_cut(readings([replace(COLD, quota=one) for one in moved])) == (0, 0)
