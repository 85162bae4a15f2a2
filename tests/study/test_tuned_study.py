"""A study with a backend that has to be tuned: whom it tunes, and what a kill in mid-tuning costs."""

import time

import pytest
from paretune.search.record.evaluation import Outcome
from paretune.search.run.stored import open_run

pytestmark = pytest.mark.slow

NAME = "tunable_backend:Tunable"
SPACE = {"student": {"width": [8]}, "precision": ["fp32"], "backend": [NAME, "toy"]}


def test_a_kill_in_mid_tuning_keeps_its_rounds_and_what_stays_slow_is_tuned_once(bench):
    path = bench.study(
        space=SPACE,
        tuning={"trials": 6, "time": "20 s"},
        budget={"trials": 6, "time": "5 min"},
        sampler="random",
        finalists=1,
    )
    store = bench.root / ".paretune" / "store"
    first = bench.command("run", path, PARETUNE_TRIAL_S="0.5")
    ends = time.monotonic() + 500
    while not (rounds := {p.name: p.read_text() for p in store.glob(".work/tune.*/found/*")}):
        assert first.poll() is None
        assert time.monotonic() < ends
        time.sleep(0.1)
    first.kill()
    first.communicate()
    assert bench.run("run", path, PARETUNE_TUNED="3").returncode == 0
    record, _ = open_run(path)
    own = [t.evaluation for t in record.trials if t.duplicate_of is None]
    (teacher,) = (one for one in own if one.tuning is not None)
    (stage,) = (stage for stage in teacher.stages if stage.name == "tune")
    assert teacher.baseline
    assert {name: (store / "tune" / stage.key / "found" / name).read_text() for name in rounds} == rounds
    assert teacher.tuning.untuned_ms.value > 5 * teacher.metrics["latency_ms"].value
    (student,) = (one for one in own if one.candidate.backend == NAME and one.candidate.student)
    assert (student.outcome, student.stages) == (Outcome.GATED, ())
    assert [path.name for path in (store / "tune").iterdir()] == [stage.key]
