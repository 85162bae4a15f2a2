"""A runner that something from outside ends: one bad moment is no verdict on a candidate, nor on a study."""

import json

import pytest
from paretune.profiles.errors import UserError
from paretune.search.record.evaluation import Outcome
from paretune.search.run.session import run_study
from study.misbehaving import BACKEND

pytestmark = pytest.mark.slow

SPACE = {"student": {"width": [4]}, "precision": ["fp32", "int8"], "backend": [BACKEND]}


@pytest.fixture
def study(bench, monkeypatch):
    """Runs a small study in which the toy backend does what is asked."""
    monkeypatch.setenv("TOY_MARKS", str(bench.root))

    def run(name, **script):
        deeds = {key.replace("_", "/"): what for key, what in script.items()}
        monkeypatch.setenv("TOY_SCRIPT", json.dumps(deeds))
        own = {"store": str(bench.root / "store"), "budget": {"trials": 4}, "finalists": 1}
        path = bench.study(name, space=SPACE, **own)
        return run_study(path).record

    return run


def ends(record, precision="int8"):
    return [
        t.evaluation
        for t in record.trials
        if t.duplicate_of is None and str(t.evaluation.candidate.precision) == precision
    ]


def test_one_kill_changes_nothing(study, bench):
    record = study("once", fp32_run="kill-once", int8_compile="kill-once")
    assert (bench.root / "fp32-run").exists()
    assert (bench.root / "int8-compile").exists()
    assert record.counters["complete"] == 4
    assert record.counters["failed"] == 0
    assert record.finalists


def test_what_was_killed_each_time_is_tried_again_by_the_next_run(study):
    first = study("twice", int8_open="kill")
    assert {e.outcome for e in ends(first)} == {Outcome.FAILED}
    assert all(e.try_again and "signal 9" in e.cause for e in ends(first))
    second = study("twice")
    assert second.counters["complete"] == 4
    assert second.counters["failed"] == 0
    assert sum(e.outcome is Outcome.COMPLETE for e in ends(second)) == 2


def test_a_teacher_that_was_killed_does_not_end_the_study_for_good(study):
    with pytest.raises(UserError, match="uncompressed teacher cannot run"):
        study("teacher", fp32_run="kill")
    assert study("teacher").counters["complete"] == 4
