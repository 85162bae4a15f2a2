"""A device is looked at before a study: a quota that is too small ends it, what is odd is said."""

from __future__ import annotations

from typing import Any

import pytest
from device_trees import GROUPS_2, tree
from paretune.backends.measure.core_speeds import FastestCores
from paretune.backends.runner.reading import Reply
from paretune.backends.watch.state import State
from paretune.backends.watch.watcher import Watcher
from paretune.profiles.errors import StageError, UserError
from paretune.search.job import looked
from paretune.search.job.looked import look_here, look_there, speeds_text


@pytest.fixture
def here(tmp_path, monkeypatch):
    """This machine with the files that a test writes."""
    monkeypatch.setattr(looked, "of_this_machine", lambda: Watcher(tmp_path))
    monkeypatch.setattr(looked, "fastest_cores", lambda threads: FastestCores(cores=tuple(range(threads))))
    return lambda **files: tree(tmp_path, {**GROUPS_2, **files})


@pytest.mark.parametrize(
    ("told", "threads", "refused"),
    [
        ("50000 100000", 1, True),
        ("99000 100000", 1, True),
        ("99800 100000", 1, False),  # of a period that the kernel rounds
        ("100000 100000", 1, False),
        ("150000 100000", 2, True),
        ("400000 100000", 4, False),
        ("max 100000", 64, False),
    ],
)
def test_a_quota_below_the_threads_ends_a_study(here, told, threads, refused):
    here(**{"sys/fs/cgroup/cpu.max": told})
    assert look_here(0).remarks == (), "nothing is measured"
    if refused:
        with pytest.raises(UserError, match="thread") as error:
            look_here(threads)
        assert error.value.place == "deploy.threads"
        return
    found = look_here(threads)
    assert bool(found.remarks) == ("cpu_quota" in found.as_found) == (not told.startswith("max"))


class Runner:
    """Answers one operation each; an error where it has none."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers

    def ask(self, operation: str, seconds: float, body: Any) -> Reply:
        if isinstance(found := self.answers.get(operation), Exception):
            raise found
        if found is None:
            raise StageError("measure", f"no operation {operation}")
        return Reply(device="board", operation=operation, stage="", body=found)


def test_big_and_little_cores_and_a_hot_device_are_said():
    state = State(seconds=1.0, slowed=("soft temperature limit",)).to_json()
    cores = {"cores": [3], "speeds": {"0": 0.41, "3": 1.0}}
    found = look_there(Runner(state={"state": state}, cores=cores), 1)
    assert found.fastest.cores == (3,)
    said = "\n".join(found.remarks)
    assert "core 3" in said
    assert "41 %" in said
    assert "soft temperature limit" in said
    assert "41 %" in found.as_found["core_speeds"]


def test_alike_cores_are_not_worth_a_word():
    cores = {"cores": [1], "speeds": {"0": 0.97, "1": 1.0}}
    found = look_there(Runner(state={"state": {"seconds": 1.0}}, cores=cores), 1)
    assert found.remarks == ()


def test_a_device_that_tells_neither_is_measured_all_the_same():
    found = look_there(Runner(), 1)
    assert (found.state, found.fastest.cores, found.remarks) == (None, (), ())
    with pytest.raises(StageError):
        look_there(Runner(state=StageError("measure", "the line was lost", outside=True)), 1)


def test_many_cores_are_told_in_short():
    text = speeds_text(FastestCores(speeds={core: 1 - core / 100 for core in range(64)}))
    assert len(text) < 150
    assert text.startswith("core 0 100 %")
