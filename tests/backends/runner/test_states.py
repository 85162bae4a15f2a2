"""The state of a device, asked through its runner: a device may answer anything."""

from __future__ import annotations

from typing import Any

import pytest
from paretune.backends.runner import states
from paretune.backends.runner.client import RunnerClient
from paretune.backends.runner.launch import LocalLaunch, SshLaunch
from paretune.backends.runner.reading import Reply
from paretune.backends.watch.state import THROTTLED, UNDER_VOLTAGE, Card, Quota
from paretune.profiles.errors import StageError


class Answers:
    def __init__(self, state: Any) -> None:
        self.state = state

    def ask(self, operation: str, seconds: float, body: Any) -> Reply:
        return Reply(device="a board", operation=operation, stage="measure", body={"state": self.state})


WHOLE = {
    "seconds": 3.5,
    "clock_mhz": {"0": 1500.0, "arm": 1400},
    "temperature_c": {"cpu": -3.5},
    "slowed": [],
    "gpus": [{"name": "A10", "slowed": None}],
    "quota": {"cores": 1.5, "periods": 3},
    "turbo": None,
    "of a later version": {"any": 1},
}


def test_a_real_runner_tells_its_state() -> None:
    with RunnerClient(LocalLaunch()) as runner:
        first = states.state(runner)
        again = states.state(runner, [0], thorough=False)
    assert again.seconds > first.seconds > 0


def test_the_tools_of_a_board_are_asked_on_the_board(native_board: Any) -> None:
    tools = native_board.folder / "tools"
    tools.mkdir()
    script = tools / "vcgencmd"
    script.write_text("#!/bin/sh\n[ $1 = get_throttled ] && echo throttled=0x50001\n")
    script.chmod(0o755)
    native_board.set(PATH=f"{tools}:{native_board.variables['PATH']}")
    with RunnerClient(SshLaunch(host="127.0.0.1", port=native_board.port)) as runner:
        found = states.state(runner)
        assert (found.slowed, found.was_slowed) == ((UNDER_VOLTAGE,), (UNDER_VOLTAGE, THROTTLED))
        assert states.state(runner, [0], thorough=False).slowed is None, "a glance starts no process"


def test_what_a_device_tells_is_read_field_by_field() -> None:
    found = states.state(Answers(WHOLE))  # type: ignore[arg-type]
    assert (found.clock_mhz["arm"], found.temperature_c, found.slowed) == (1400, {"cpu": -3.5}, ())
    assert found.gpus == (Card(name="A10"),)
    assert found.quota == Quota(cores=1.5, periods=3)


@pytest.mark.parametrize(
    "changed",
    [
        {"seconds": None},
        {"seconds": "3"},
        {"clock_mhz": {"0": -1}},
        {"clock_mhz": [1]},
        {"clock_mhz": {str(core): 1 for core in range(10_000)}},
        {"temperature_c": {"cpu": -274}},
        {"temperature_c": {"cpu": 1e9}},
        {"temperature_c": {"cpu": True}},
        {"slowed": "throttled"},
        {"slowed": [1]},
        {"counts": {"n": 1.5}},
        {"quota": {}},
        {"quota": {"cores": float("nan")}},
        {"gpus": [[]]},
        {"governor": 7},
    ],
)
def test_nonsense_of_a_device_is_an_error_that_names_it(changed: dict[str, Any]) -> None:
    with pytest.raises(StageError, match="a board"):
        states.state(Answers({**WHOLE, **changed}))  # type: ignore[arg-type]


@pytest.mark.parametrize("told", [None, [], "x", {}])
def test_no_state_at_all_is_one_too(told: Any) -> None:
    with pytest.raises(StageError, match="a board"):
        states.state(Answers(told))  # type: ignore[arg-type]


def test_a_real_runner_tells_its_fastest_cores() -> None:
    with RunnerClient(LocalLaunch()) as runner:
        found = states.ask_fastest(runner, 1)
    assert len(found.cores) == 1
    assert not found.speeds or found.speeds[found.cores[0]] > 0.9


@pytest.mark.parametrize(
    "body",
    [
        {"cores": [1]},
        {"cores": [1, 1], "speeds": {}},
        {"cores": [-1], "speeds": {}},
        {"cores": [1], "speeds": {"one": 1.0}},
        {"cores": [1], "speeds": {"1": 2.0}},
        {"cores": "1", "speeds": {}},
    ],
)
def test_nonsense_of_cores_is_an_error(body: dict[str, Any]) -> None:
    class Cores(Answers):
        def ask(self, operation: str, seconds: float, body: Any) -> Reply:
            return Reply(device="a board", operation=operation, stage="measure", body=self.state)

    with pytest.raises(StageError, match="a board"):
        states.ask_fastest(Cores(body), 1)  # type: ignore[arg-type]
