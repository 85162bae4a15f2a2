"""Schedules that are really searched, found, kept and used."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from paretune.backends.contract.backend import CompileSettings
from paretune.backends.contract.tuning import Tuning
from paretune.backends.registry import get_backend
from paretune.backends.tvm import tuning as searching
from paretune.backends.tvm.standing import TaskStanding, next_task, round_size
from paretune.profiles.errors import StageError
from paretune.profiles.precision import Precision

from .conftest import WIDTH, dense, written

SETTINGS = CompileSettings(precision=Precision.FP32)
DATA = {"x": np.random.default_rng(1).normal(size=(8, WIDTH)).astype(np.float32)}
FOUND = "1 of 1 functions have a schedule that tuning found"
RECORDS = "database_tuning_record.json"


def records(folder: Path) -> list:
    return [json.loads(line) for line in (folder / RECORDS).read_text().splitlines()]


@pytest.mark.slow
def test_tuning_finds_schedules_that_the_artifact_uses_and_another_model_shares(model, folder, tmp_path):
    backend, found = get_backend("tvm"), folder("found")
    facts = backend.tune(model, SETTINGS, Tuning(trials=8, seconds=120), (), found)
    measured = facts["trials"] - facts["failed"]
    assert (facts["tasks"], facts["tasks_known"], facts["tasks_tuned"]) == (1, 0, 1)
    assert 0 < measured <= 8
    assert len(records(found)) == measured

    untuned = backend.compile(model, SETTINGS, DATA, folder("untuned"))
    tuned = backend.compile(replace(model, tuned=found), SETTINGS, DATA, folder("tuned"))
    assert FOUND in tuned.notes
    assert FOUND not in untuned.notes
    assert tuned.path.read_bytes() != untuned.path.read_bytes()

    # Other weights, the same structure; and the records of a tuning that a kill cut off inside its last line.
    with (found / RECORDS).open("a") as file:
        file.write('[1, [["half a rec')
    before = (found / RECORDS).read_bytes()
    other, shared = dense(tmp_path / "other.onnx", seed=1), folder("shared")
    again = backend.tune(other, SETTINGS, Tuning(trials=8, seconds=120), [found], shared)
    assert (again["tasks"], again["tasks_known"], again["trials"]) == (1, 1, 0)
    assert FOUND in backend.compile(replace(other, tuned=shared), SETTINGS, DATA, folder("third")).notes
    resumed = backend.tune(model, SETTINGS, Tuning(trials=measured, seconds=120), (), found)
    assert (resumed["tasks_known"], resumed["trials"]) == (0, 0)
    assert before.startswith((found / RECORDS).read_bytes())
    assert len(records(found)) == measured


@pytest.mark.slow
def test_a_schedule_is_shared_by_functions_whose_blocks_have_other_names(folder, tmp_path):
    """Names count the tensors before: those of a mean alone and of one behind another operator differ."""
    mean = helper.make_node("ReduceMean", ["h"], ["y"], axes=[1])
    alone = written(tmp_path / "1.onnx", [helper.make_node("Identity", ["x"], ["h"]), mean], {}, ("y",))
    behind = written(tmp_path / "2.onnx", [helper.make_node("Exp", ["x"], ["h"]), mean], {}, ("y",))
    backend, found, shared = get_backend("tvm"), folder("found"), folder("shared")
    assert backend.tune(alone, SETTINGS, Tuning(trials=8, seconds=120), (), found)["tasks_tuned"] == 1
    facts = backend.tune(behind, SETTINGS, Tuning(trials=0, seconds=120), [found], shared)
    assert (facts["tasks"], facts["tasks_known"]) == (2, 1)
    made = backend.compile(replace(behind, tuned=shared), SETTINGS, DATA, folder("made"))
    assert "1 of 2 functions have a schedule that tuning found" in made.notes


@pytest.mark.slow
def test_where_nothing_builds_the_cause_is_told(model, folder, monkeypatch):
    monkeypatch.setattr("paretune.backends.tvm.measuring.command_for", lambda _: ("/no/such/linker",))
    with pytest.raises(StageError, match=r"all 2 schedules that were tried failed: .*no/such/linker"):
        get_backend("tvm").tune(model, SETTINGS, Tuning(trials=2, seconds=120), (), folder("found"))


def test_without_time_nothing_is_tried_and_the_model_compiles_all_the_same(model, folder):
    backend, found = get_backend("tvm"), folder("found")
    facts = backend.tune(model, SETTINGS, Tuning(trials=8, seconds=0.0), (), found)
    assert (facts["tasks"], facts["tasks_tuned"], facts["trials"]) == (1, 0, 0)
    made = backend.compile(replace(model, tuned=found), SETTINGS, DATA, folder("tuned"))
    assert "0 of 1 functions have a schedule that tuning found" in made.notes


def test_what_cannot_be_read_is_as_good_as_not_there(folder):
    empty, damaged = folder("empty"), folder("damaged")
    (damaged / "database_workload.json").write_text("{}\n")
    (damaged / RECORDS).write_text("no record\n")
    assert len(searching.read_database(empty)) == 0
    assert not list(empty.iterdir())
    assert searching.readable([empty, damaged, empty / "missing"]) != []


def test_every_function_is_tried_once_then_the_one_that_takes_most_time():
    new, slow, quick = TaskStanding(weight=1), TaskStanding(weight=1), TaskStanding(weight=3)
    assert next_task([slow.after(4, 2e-3), new]) == 1
    slow, quick = slow.after(4, 2e-3), quick.after(4, 1e-3)
    assert next_task([slow, quick]) == 1
    assert (round_size(new, 100), round_size(slow, 100), round_size(slow, 3)) == (4, 16, 3)


def test_rounds_in_vain_lose_hope_and_what_is_known_or_exhausted_is_left_alone():
    one, other = TaskStanding(weight=1).after(4, 2e-3), TaskStanding(weight=1).after(4, 1.5e-3)
    assert next_task([one, other]) == 0
    assert next_task([one.after(16, 1.99e-3), other]) == 1
    assert next_task([one.after(0, 2e-3), TaskStanding(weight=9, seconds=1.0, known=True)]) is None
