"""Quotas of control groups: both versions, nested ones, containers with and without a namespace."""

from __future__ import annotations

from pathlib import Path

import pytest
from device_trees import GROUPS_2, tree
from paretune.backends.watch.cgroup import quota
from paretune.backends.watch.state import Quota

V1 = "32 31 0:29 {above} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"


def group_1(folder: str, micros: int, stat: str = "") -> dict[str, str]:
    place = f"sys/fs/cgroup/cpu,cpuacct/{folder}".rstrip("/")
    return {
        f"{place}/cpu.cfs_quota_us": f"{micros}\n",
        f"{place}/cpu.cfs_period_us": "100000\n",
        f"{place}/cpu.stat": stat or "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n",
    }


def test_a_container_of_version_2(tmp_path: Path) -> None:
    stat = "usage_usec 90\nnr_periods 200\nnr_throttled 50\nthrottled_usec 1500000\n"
    files = {**GROUPS_2, "sys/fs/cgroup/cpu.max": "150000 100000\n", "sys/fs/cgroup/cpu.stat": stat}
    assert quota(tree(tmp_path, files)) == Quota(cores=1.5, periods=200, throttled=50, throttled_s=1.5)


def test_the_tightest_of_nested_groups_counts_and_all_that_cut(tmp_path: Path) -> None:
    top = "sys/fs/cgroup/user.slice"
    files = {
        **GROUPS_2,
        "proc/self/cgroup": "0::/user.slice/run.scope\n",
        f"{top}/cpu.max": "50000 100000\n",
        f"{top}/cpu.stat": "nr_periods 10\nnr_throttled 4\nthrottled_usec 100000\n",
        f"{top}/run.scope/cpu.max": "200000\n",
        f"{top}/run.scope/cpu.stat": "nr_periods 9\nnr_throttled 1\nthrottled_usec 20000\n",
    }
    found = quota(tree(tmp_path, files))
    assert found is not None
    assert (found.cores, found.periods, found.throttled) == (0.5, 10, 5)
    assert found.throttled_s == pytest.approx(0.12)


def test_version_1_as_the_host_sees_it_and_as_a_container_does(tmp_path: Path) -> None:
    stat = "nr_periods 30\nnr_throttled 3\nthrottled_time 250000000\n"
    found = Quota(cores=2.0, periods=30, throttled=3, throttled_s=0.25)
    own = {"proc/self/cgroup": "12:pids:/\n3:cpu,cpuacct:/docker/abc\n0::/docker/abc\n"}
    limited, free = group_1("docker/abc", 200_000, stat), group_1("", -1)
    whole = {**own, "proc/self/mountinfo": V1.format(above="/"), **limited, **free}
    assert quota(tree(tmp_path / "host", whole)) == found
    for above in ("/docker/abc", "/docker/xyz"):
        seen = {**own, "proc/self/mountinfo": V1.format(above=above), **group_1("", 200_000, stat)}
        assert quota(tree(tmp_path / above.strip("/"), seen)) == found


@pytest.mark.parametrize("told", ["max 100000", "", "max", "0 100000", "100000 0", "-5 10", "x y", "1e5 1e5"])
def test_no_quota_is_none(tmp_path: Path, told: str) -> None:
    assert quota(tree(tmp_path, {**GROUPS_2, "sys/fs/cgroup/cpu.max": told})) is None


@pytest.mark.parametrize(
    ("own", "mounts"),
    [
        ("", ""),
        ("0::/../../etc\n", GROUPS_2["proc/self/mountinfo"]),
        ("nonsense\n::\n", "a b - cgroup2\n - \n1 2 3\n"),
        ("0::/gone (deleted)\n", GROUPS_2["proc/self/mountinfo"]),
    ],
)
def test_files_that_are_missing_or_nonsense_tell_of_none(tmp_path: Path, own: str, mounts: str) -> None:
    assert quota(tree(tmp_path, {"proc/self/cgroup": own, "proc/self/mountinfo": mounts})) is None
