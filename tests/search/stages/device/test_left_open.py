"""A runner that was left open answers the next question; where it fails, a fresh one does."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from paretune.backends.runner.client import RunnerClient
from paretune.backends.runner.launch import LocalLaunch
from paretune.backends.runner.replies import Opened
from paretune.profiles.errors import StageError
from paretune.search.record.setting import Setting
from paretune.search.stages.device.left_open import LeftOpen

SCRIPTED = Path(__file__).parents[3] / "backends" / "runner"
USUAL = Setting(batch=2, threads=1)
FEED = {"x": np.ones((2, 3), np.float32)}


def fresh(file: Path) -> Callable[[], tuple[RunnerClient, Opened, float]]:
    def made() -> tuple[RunnerClient, Opened, float]:
        runner = RunnerClient(LocalLaunch(path=(str(SCRIPTED),)))
        return runner, runner.open("scripted_backend:ScriptedBackend", file, 2, 1), runner.prepare(FEED)

    return made


def asked_as(runner: RunnerClient, _: float) -> int:
    pid = runner.hello().pid
    assert runner.infer(FEED)["y"].tolist() == (FEED["x"] * 2).tolist()
    return pid


def test_a_runner_is_asked_once_more_and_a_fresh_one_where_it_crashed(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("a=1")
    start, left = fresh(tmp_path / "model"), LeftOpen()
    first, _, first_ms = start()
    pid = first.hello().pid
    left.leave("one", USUAL, first, first_ms)
    assert left.asked("one", USUAL, asked_as, start) == pid
    assert first.ended is not None, "it is of no further use"

    second, _, first_ms = start()
    left.leave("one", USUAL, second, first_ms)
    os.kill(pid := second.hello().pid, signal.SIGKILL)
    assert left.asked("one", USUAL, asked_as, start) != pid

    third, _, first_ms = start()
    pid = third.hello().pid
    left.leave("one", USUAL, third, first_ms)
    assert left.asked("another", USUAL, asked_as, start) != pid
    assert third.ended is not None, "what was left for one artifact is not there for another"


def test_what_also_fails_in_a_fresh_runner_fails(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("a=1")
    start, left = fresh(tmp_path / "model"), LeftOpen()
    runner, _, first_ms = start()
    left.leave("one", USUAL, runner, first_ms)
    asked: list[RunnerClient] = []

    def wrong(one: RunnerClient, _: float) -> None:
        asked.append(one)
        one.infer({"z": FEED["x"]})

    with pytest.raises(StageError):
        left.asked("one", USUAL, wrong, start)
    assert len({id(one) for one in asked}) == 2
