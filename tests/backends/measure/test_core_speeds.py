"""Cores chosen by measured speed: big and little ones, siblings, cores of others, many of them."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from paretune.backends.measure import core_speeds, cores
from paretune.backends.measure.core_speeds import OnCore, Timed, fastest_cores
from paretune.backends.measure.core_speeds import core_speeds as speeds_of
from paretune.backends.measure.cores import chosen_cores, hold_on


def machine(
    relative: Mapping[int, float], *, noise: float = 0.0, shares: Mapping[int, float] | None = None
) -> tuple[Timed, list[int]]:
    """Cores of these speeds; those that are not named cannot be held. And which were timed."""
    rng, timed = random.Random(1), list[int]()

    def on(core: int, loops: int) -> OnCore | None:
        timed.append(core)
        if core not in relative:
            return None
        seconds = loops * 1e-5 / relative[core] * (1 + abs(rng.gauss(0, noise)))
        return OnCore(seconds=seconds, share=(shares or {}).get(core, 1.0))

    return on, timed


@pytest.mark.parametrize(
    ("relative", "threads", "chosen"),
    [
        ([1, 1, 1, 1], 1, (3,)),
        ([1, 0.99, 1, 0.985], 1, (3,)),  # within noise
        ([1, 1, 1, 0.75], 1, (2,)),  # the last one's sibling is busy
        ([0.4, 0.4, 0.4, 0.4, 1, 1], 1, (5,)),
        ([0.4, 0.4, 0.4, 0.4, 1, 1], 3, (3, 4, 5)),
        ([1, 1, 0.4, 0.4], 1, (1,)),  # the first ones are big
        ([1.0, 0.87, 0.87, 0.87, 0.3, 0.3, 0.3, 0.3], 1, (0,)),  # one prime core
        ([1.0, 0.87, 0.87, 0.87, 0.3, 0.3, 0.3, 0.3], 2, (0, 3)),
    ],
)
def test_the_fastest_by_measure_and_the_last_of_alike_ones(
    tmp_path: Path, relative: list[float], threads: int, chosen: tuple[int, ...]
) -> None:
    timed, _ = machine(dict(enumerate(relative)), noise=0.01)
    found = speeds_of(range(len(relative)), timed, tmp_path)
    assert found == pytest.approx(dict(enumerate(relative)), rel=0.03)
    assert chosen_cores(threads, range(len(relative)), tmp_path, found) == chosen


def test_measured_speed_comes_before_what_the_kernel_says(tmp_path: Path) -> None:
    for core, capacity in enumerate([446, 1024]):
        (tmp_path / f"cpu{core}").mkdir()
        (tmp_path / f"cpu{core}" / "cpu_capacity").write_text(str(capacity))
    timed, _ = machine({0: 1.0, 1: 0.6})
    assert chosen_cores(1, range(2), tmp_path) == (1,)
    assert chosen_cores(1, range(2), tmp_path, speeds_of(range(2), timed, tmp_path)) == (0,)


def test_a_core_that_somebody_else_has_loses_where_others_are_free(tmp_path: Path) -> None:
    taken, _ = machine({0: 1.0, 1: 1.0}, shares={1: 0.5})
    assert speeds_of(range(2), taken, tmp_path) == {0: 1.0, 1: 0.5}
    busy, _ = machine({0: 1.0, 1: 1.0}, shares={0: 0.6, 1: 0.3})
    assert speeds_of(range(2), busy, tmp_path) == {0: 1.0, 1: 1.0}, "chance decides on a busy machine"


def test_of_many_cores_some_of_each_kind_are_timed(tmp_path: Path) -> None:
    for core in range(128):
        (tmp_path / f"cpu{core}").mkdir()
        (tmp_path / f"cpu{core}" / "cpu_capacity").write_text("1024" if core < 64 else "512")
    timed, seen = machine({core: 1.0 if core < 64 else 0.5 for core in range(128)})
    found = speeds_of(range(128), timed, tmp_path)
    assert (len(found), len(set(seen))) == (128, 40)
    assert (found[0], found[127]) == (1.0, 0.5)
    assert chosen_cores(2, range(128), tmp_path, found) == (62, 63)


def test_a_core_that_is_switched_off_meanwhile_is_left_out(tmp_path: Path) -> None:
    timed, seen = machine({0: 1.0, 1: 1.0})
    assert set(speeds_of(range(4), timed, tmp_path)) == {0, 1}
    assert seen.count(3) <= 2
    none, _ = machine({})
    assert speeds_of(range(4), none, tmp_path) == {}


def test_it_takes_little_longer_than_its_limit(tmp_path: Path) -> None:
    asked = []

    def slow(core: int, loops: int) -> OnCore:
        asked.append(core)
        time.sleep(0.02)
        return OnCore(seconds=0.001)

    assert speeds_of(range(4), slow, tmp_path, limit_s=0.0) == dict.fromkeys(range(4), 1.0)
    assert max(map(asked.count, range(4))) <= 3


def test_nothing_is_timed_where_there_is_nothing_to_choose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed, seen = machine({3: 1.0})
    assert speeds_of({3}, timed, tmp_path) == {}
    assert seen == []
    allowed = os.sched_getaffinity(0)
    assert fastest_cores(len(allowed)).speeds == {}
    assert fastest_cores(len(allowed)).cores == tuple(sorted(allowed))
    monkeypatch.delattr(core_speeds.os, "sched_setaffinity")
    assert speeds_of(range(4)) == {}
    assert fastest_cores(1).cores == ()


def test_this_machine_is_as_it_was_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.sched_getaffinity(0)
    found = speeds_of(before)
    assert os.sched_getaffinity(0) == before
    assert all(0 < speed <= 1 for speed in found.values())

    def forbidden(process: int, cores: object) -> None:
        raise PermissionError

    monkeypatch.setattr(core_speeds.os, "sched_setaffinity", forbidden)
    assert speeds_of(before) == {}


def test_named_cores_are_held_where_they_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    held, off = list[set[int]](), {103}

    def hold(process: int, wanted: tuple[int, ...]) -> None:
        if off & set(wanted):
            raise OSError
        held.append(set(wanted))

    monkeypatch.setattr(cores.os, "sched_setaffinity", hold)
    assert hold_on(1, set(range(100, 104)), (100,)) == (100,)
    assert hold_on(1, set(range(100, 104)), (103,)) == (102,), "switched off meanwhile"
    assert hold_on(2, {100, 101, 102}, (100,)) == (101, 102), "named for another number of threads"
    assert hold_on(1, {100, 101}, (7,)) == (101,), "of another machine"
    assert held == [{100}, {102}, {101, 102}, {101}]
