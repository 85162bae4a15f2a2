"""A study with a backend that has to be tuned: whom it tunes, and what a kill in mid-tuning costs."""

import time

import pytest
from paretune.search.record.evaluation import Outcome
from paretune.search.run.session import open_run

pytestmark = pytest.mark.slow

NAME = "tunable_backend:Tunable"
SPACE = {"student": {"width": [8]}, "precision": ["fp32"], "backend": [NAME, "toy"]}


def study(bench, **changes):
    budget = {"trials": 6, "time": "5 min"}
    tuning = {"trials": 6, "time": "20 s"}
    return bench.study(**{"space": SPACE, "tuning": tuning, "budget": budget, "finalists": 1, **changes})


def tuned(record):
    return [t for t in record.trials if t.evaluation.tuning is not None and t.duplicate_of is None]


def test_a_kill_in_the_middle_of_a_tuning_keeps_its_rounds(bench):
    path = study(bench)
    first = bench.command("run", path, PARETUNE_TRIAL_S="1")
    work = bench.root / ".paretune" / "store" / ".work"
    ends = time.monotonic() + 120
    while not (rounds := {p.name: p.read_text() for p in work.glob("tune.*/found/*")}):
        assert first.poll() is None
        assert time.monotonic() < ends
        time.sleep(0.1)
    first.kill()
    first.communicate()
    assert bench.run("run", path).returncode == 0
    record, _ = open_run(path)
    teacher, *others = tuned(record)
    (stage,) = (stage for stage in teacher.evaluation.stages if stage.name == "tune")
    entry = bench.root / ".paretune" / "store" / "tune" / stage.key / "found"
    assert {name: (entry / name).read_text() for name in rounds} == rounds
    assert teacher.evaluation.baseline
    assert teacher.evaluation.tuning.seconds > stage.seconds  # those of the killed session count
    assert others, "half the latency of the other runtime may reach the front"
    for trial in (teacher, *others):
        evaluation = trial.evaluation
        assert evaluation.tuning.untuned_ms.value > 10 * evaluation.metrics["latency_ms"].value
        before = [t.evaluation.candidate for t in record.trials[: trial.number] if t.evaluation.metrics]
        assert any((c.student, c.backend) == (evaluation.candidate.student, "toy") for c in before)


def test_where_tuned_ones_stay_slow_the_teacher_alone_is_tuned(bench):
    path = study(bench, sampler="random")
    assert bench.run("run", path, PARETUNE_TUNED="3").returncode == 0
    record, _ = open_run(path)
    assert [trial.evaluation.candidate.title for trial in tuned(record)] == [f"teacher, fp32, {NAME}"]
    students = [t.evaluation for t in record.trials if t.evaluation.candidate.backend == NAME][1:]
    assert students
    assert {(one.outcome, bool(one.stages)) for one in students} == {(Outcome.GATED, False)}
    assert len(list((bench.root / ".paretune" / "store" / "tune").iterdir())) == 1
