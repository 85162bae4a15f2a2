"""Artifacts of a run under another environment, whose runtime computes otherwise, is slower or crashes."""

import json
from dataclasses import fields

import pytest
from other_environment import other_environment
from paretune.profiles.errors import UserError
from paretune.search.recheck.recheck import recheck
from paretune.search.record.checks import CHECKED, Checked, CheckOutcome, NextStep
from paretune.search.run.session import run_study

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ran(bench_in, tmp_path_factory, shared_store):
    """A bench, its study of the teacher alone, and the number of the trial of each precision."""
    bench = bench_in(tmp_path_factory.mktemp("recheck"))
    space = {"precision": ["fp32", "fp16", "int8"], "backend": ["toy"], "calibration": {"samples": [16]}}
    study = bench.study(space=space, budget={"trials": 3}, finalists=1, ladder="never", store=shared_store)
    trials = run_study(study).record.trials
    return bench, study, {str(t.evaluation.candidate.precision): t.number for t in trials}


@pytest.fixture(scope="module")
def env(tmp_path_factory):
    return other_environment(tmp_path_factory.mktemp("env") / "new", fp16="swap old", int8="swap walking")


@pytest.fixture(scope="module")
def found(ran, env):
    """All three under another runtime: fp16 is right once it is compiled anew, int8 at one value of an
    option."""
    _, study, numbers = ran
    checked = recheck(study, python=str(env), trials=list(numbers.values()))
    return checked, {precision: f"trial {number}" for precision, number in numbers.items()}


def outcomes(checked, subject):
    return {check.metric: check.outcome for check in checked.checks if check.subject == subject}


def advice(checked, subject):
    return next(one for one in checked.advice if one.subject == subject)


def test_the_same_numbers_are_kept(found):
    checked, titles = found
    told = outcomes(checked, titles["fp32"])
    assert {told[name] for name in ("outputs", "decisions", "accuracy", "latency_ms")} == {
        CheckOutcome.PASSED
    }
    assert advice(checked, titles["fp32"]).step is NextStep.KEEP


def test_what_is_right_once_it_is_compiled_anew_is_recompiled(found):
    checked, titles = found
    told = advice(checked, titles["fp16"])
    assert told.step is NextStep.RECOMPILE
    assert "recheck/trial-" in told.reason
    assert outcomes(checked, titles["fp16"])["decisions"] is CheckOutcome.FAILED
    assert outcomes(checked, f"{titles['fp16']} recompiled")["accuracy"] is CheckOutcome.PASSED


def test_a_level_of_optimization_that_computes_wrongly_is_named(found):
    checked, titles = found
    told = advice(checked, titles["int8"])
    assert told.step is NextStep.PIN
    assert "paretune-toy==1" in told.reason
    assert "pace run" in told.reason
    assert outcomes(checked, f"{titles['int8']}, pace run") == {"outputs": CheckOutcome.FAILED}
    assert checked.exit_code == 2


def test_slower_and_crashing_artifacts_are_pinned_and_a_workload_that_is_gone_is_no_hindrance(ran, tmp_path):
    bench, study, numbers = ran
    env = other_environment(tmp_path / "new", fp32="slow", int8="crash")
    asked, into = f"{numbers['fp32']},{numbers['int8']}", tmp_path / "found.json"
    workload = bench.root / "blobs.py"
    aside = workload.rename(tmp_path / "blobs.py")
    try:
        done = bench.run("recheck", study, "--python", env, "--trials", asked, "--json", into)
    finally:
        aside.rename(workload)
    assert done.returncode == 2, done.stderr
    plain = json.loads(into.read_text())
    checked = CHECKED.validate_python({field.name: plain[field.name] for field in fields(Checked)})
    named = {(check.subject, check.metric): check for check in checked.checks}
    slower = named[f"trial {numbers['fp32']}", "latency_ms"]
    assert slower.outcome is CheckOutcome.FAILED
    assert slower.change.value == pytest.approx(2)
    assert {one.step for one in checked.advice} == {NextStep.PIN}
    assert "segmentation fault" in named[f"trial {numbers['int8']}", "outputs"].reason
    assert "accuracy" not in {check.metric for check in checked.checks}
    assert "test split is not to be had" in checked.environment["remark"]


def test_outputs_of_another_device_are_held_against_those_here(ran, env, native_board):
    bench, study, numbers = ran
    packages = next(env.glob("lib/python3*/site-packages"))
    native_board.set(PYTHONPATH=str(packages), PARETUNE_TOY="1", OMP_NUM_THREADS="1")
    native_board.write_profile(bench.root)
    wanted = [numbers["fp32"], numbers["int8"]]
    checked = recheck(study, profile="./board.yaml", trials=wanted)
    right, wrong = (f"trial {number}" for number in wanted)
    told = outcomes(checked, right)
    assert {told[name] for name in ("outputs", "decisions", "accuracy")} == {CheckOutcome.PASSED}
    assert {told[name] for name in ("latency_ms", "latency_ratio", "load_ms")} == {CheckOutcome.NOTED}
    assert advice(checked, right).step is NextStep.KEEP
    assert advice(checked, wrong).step is NextStep.PIN
    assert "pace run" in advice(checked, wrong).reason


def test_an_environment_without_the_runtime_is_refused(ran, tmp_path):
    env = other_environment(tmp_path / "new", absent=True)
    with pytest.raises(UserError) as refused:
        recheck(ran[1], python=str(env))
    assert "No module named 'toy'" in refused.value.found
    assert f"{env}/bin/python -m pip install paretune-toy" in refused.value.remedy
