"""Which cores sessions are held on: the fastest, each thread its own, the same for everyone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from paretune.backends.measure import cores
from paretune.backends.measure.cores import chosen_cores, hold_on


def system(root: Path, capacities: list[int], clocks: list[int] | None = None, threads: int = 1) -> Path:
    """A folder like /sys/devices/system/cpu; `threads` neighbours share a core."""
    for core, capacity in enumerate(capacities):
        folder = root / f"cpu{core}"
        (folder / "topology").mkdir(parents=True)
        first = core // threads * threads
        (folder / "topology" / "thread_siblings_list").write_text(f"{first}-{first + threads - 1}\n")
        if capacity:
            (folder / "cpu_capacity").write_text(f"{capacity}\n")
        if clocks:
            (folder / "cpufreq").mkdir()
            (folder / "cpufreq" / "cpuinfo_max_freq").write_text(f"{clocks[core]}\n")
    return root


@pytest.mark.parametrize(
    ("threads", "chosen"),
    [(1, (5,)), (2, (4, 5)), (3, (3, 4, 5)), (6, (0, 1, 2, 3, 4, 5)), (9, tuple(range(6)))],
)
def test_big_cores_come_before_little_ones(tmp_path: Path, threads: int, chosen: tuple[int, ...]) -> None:
    assert chosen_cores(threads, range(6), system(tmp_path, [446] * 4 + [1024] * 2)) == chosen


def test_the_clock_decides_where_no_capacity_is_told(tmp_path: Path) -> None:
    here = system(tmp_path, [0] * 4, clocks=[2_400_000, 2_400_000, 1_800_000, 1_800_000])
    assert chosen_cores(1, range(4), here) == (1,)
    assert chosen_cores(1, {2, 3}, here) == (3,), "of those that this process may use"


def test_threads_do_not_share_a_core_while_there_are_others(tmp_path: Path) -> None:
    here = system(tmp_path, [0] * 8, threads=2)
    assert chosen_cores(2, range(8), here) == (5, 7)
    assert chosen_cores(5, range(8), here) == (1, 3, 5, 6, 7)


def test_the_last_of_equal_cores_where_nothing_is_told(tmp_path: Path) -> None:
    assert chosen_cores(1, {3, 1, 2}, tmp_path) == (3,)


def test_a_system_that_does_not_let_it_choose_is_told_by_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert hold_on(1, {10_000}) == ()  # no such core: the real system refuses
    monkeypatch.delattr(cores.os, "sched_setaffinity", raising=False)
    assert hold_on(1, os.sched_getaffinity(0)) == ()
