"""Limits of a fleet: those for all devices, and those that name one."""

from __future__ import annotations

from pathlib import Path

import pytest
from paretune.profiles.errors import UserError
from paretune.search.record.evaluation import StudyRecord
from paretune.search.run.fleet_runs import DeviceRun, FleetRuns, limits_by_device


@pytest.fixture
def runs() -> FleetRuns:
    def run(profile: str, named: str = "") -> DeviceRun:
        record = StudyRecord(
            name="s", study_text="", workload="w", profile=profile, quality="accuracy", objectives=(),
            limits=(), trials=(),
        )  # fmt: skip
        return DeviceRun(record=record, run_dir=Path(), named=named)

    found = {"host": run("host"), "pi": run("pi", "my/pi.yaml"), "jetson": run("jetson")}
    return FleetRuns(study="s", study_file=Path("s.yaml"), runs=found)


def test_each_device_gets_its_own(runs: FleetRuns) -> None:
    texts = ["size <= 1 MB", "pi: latency <= 5 ms", "my/pi.yaml: memory <= 9 MB", "host: latency <= 1 ms"]
    everywhere, own = limits_by_device(runs, ["host", "pi"], texts)
    assert everywhere == ["size <= 1 MB"]
    assert own == {"host": ["latency <= 1 ms"], "pi": ["latency <= 5 ms", "memory <= 9 MB"]}


@pytest.mark.parametrize("name", ["jetson", "nobody"])
def test_one_for_a_device_that_is_not_asked_for_is_refused(runs: FleetRuns, name: str) -> None:
    with pytest.raises(UserError, match="not asked for"):
        limits_by_device(runs, ["host", "pi"], [f"{name}: latency <= 5 ms"])
