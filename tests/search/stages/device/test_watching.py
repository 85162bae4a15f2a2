"""Who is asked how the device is: this machine itself, or a runner there that is alive."""

from __future__ import annotations

from typing import Any

import pytest
from device_trees import processor, tree, zones
from paretune.backends.runner.reading import Reply
from paretune.backends.watch.watcher import Watcher
from paretune.profiles.errors import StageError
from paretune.search.stages.device import watching
from paretune.search.stages.device.watching import Watching


class Runner:
    """A runner on a device, which has ended or tells."""

    def __init__(self, told: Any, ended: StageError | None = None) -> None:
        self.told, self.ended, self.asked = told, ended, list[Any]()

    def ask(self, operation: str, seconds: float, body: Any) -> Any:
        self.asked.append((operation, body))
        if isinstance(self.told, Exception):
            raise self.told
        return Reply(device="board", operation=operation, stage="", body={"state": self.told})


def test_this_machine_is_read_by_this_process(tmp_path, monkeypatch):
    here = Watcher(tree(tmp_path, {**processor({0: 1_500_000, 1: 1_400_000}), **zones(cpu=51_000)}))
    monkeypatch.setattr(watching, "of_this_machine", lambda: here)
    watch = Watching(None, lambda: (1,))
    thorough, glance = watch(True), watch(False)
    assert thorough.clock_mhz == glance.clock_mhz == {"1": 1400}
    assert (thorough.most_mhz, glance.most_mhz) == ({"1": 2400}, {})


def test_another_device_is_asked_through_a_runner_that_is_alive():
    dead, alive = Runner({}, StageError("measure", "killed")), Runner({"seconds": 2.0})
    watch = Watching(lambda: [dead, alive], lambda: (3,))
    assert watch(False).seconds == 2.0
    assert (dead.asked, alive.asked) == ([], [("state", {"cores": [3], "thorough": False})])
    assert Watching(lambda: [dead], lambda: ())(True) is None


@pytest.mark.parametrize("told", [{}, {"seconds": -1}, StageError("measure", "no such operation")])
def test_one_that_does_not_tell_is_not_asked_for_long(told):
    runner = Runner(told)
    watch = Watching(lambda: [runner], lambda: ())
    assert [watch(False) for _ in range(5)] == [None] * 5
    assert len(runner.asked) == 2


def test_one_that_did_not_tell_before_the_study_is_not_asked_at_all():
    runner = Runner({"seconds": 1.0})
    assert Watching(lambda: [runner], lambda: (), tells=False)(True) is None
    assert runner.asked == []
