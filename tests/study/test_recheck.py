"""Artifacts of a run under another environment, whose runtime computes otherwise, is slower or crashes."""

import json

import pytest
from other_environment import other_environment
from paretune.profiles.errors import UserError
from paretune.search.recheck.recheck import recheck
from paretune.search.record.checks import CHECKED, CheckOutcome, NextStep
from paretune.search.run.session import run_study

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ran(bench_in, tmp_path_factory):
    """A bench, its study, and the number of the trial of each precision of its student."""
    bench = bench_in(tmp_path_factory.mktemp("recheck"))
    space = {"student": {"width": [4]}, "precision": ["fp32", "fp16", "int8"], "backend": ["toy"]}
    study = bench.study(space={**space, "calibration": {"samples": [16]}}, budget={"trials": 6}, finalists=1)
    trials = run_study(study).record.trials
    found = {
        str(t.evaluation.candidate.precision): t.number
        for t in trials
        if not t.evaluation.candidate.is_teacher
    }
    return bench, study, found


@pytest.fixture(scope="module")
def found(ran, tmp_path_factory):
    """All three under another runtime: fp16 is right once it is compiled anew, int8 at one value of an
    option."""
    _, study, numbers = ran
    env = other_environment(tmp_path_factory.mktemp("env") / "new", fp16="swap old", int8="swap walking")
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


def test_slower_and_crashing_artifacts_are_pinned(ran, tmp_path):
    bench, study, numbers = ran
    env = other_environment(tmp_path / "new", fp32="slow", int8="crash")
    asked = f"{numbers['fp32']},{numbers['int8']}"
    done = bench.run("recheck", study, "--python", env, "--trials", asked, "--json", tmp_path / "found.json")
    assert done.returncode == 2, done.stderr
    plain = json.loads((tmp_path / "found.json").read_text())
    checked = CHECKED.validate_python({name: plain[name] for name in ("of", "against", "checks", "advice")})
    slower = next(
        c for c in checked.checks if (c.subject, c.metric) == (f"trial {numbers['fp32']}", "latency_ms")
    )
    assert slower.outcome is CheckOutcome.FAILED
    assert slower.change.value == pytest.approx(2)
    assert {one.step for one in checked.advice} == {NextStep.PIN}
    assert "segmentation fault" in advice(checked, f"trial {numbers['int8']}").reason


def test_an_environment_without_the_runtime_is_refused(ran, tmp_path):
    env = other_environment(tmp_path / "new", absent=True)
    with pytest.raises(UserError) as refused:
        recheck(ran[1], python=str(env))
    assert "No module named 'toy'" in refused.value.found
    assert f"{env}/bin/python -m pip install paretune-toy" in refused.value.remedy


def test_a_workload_that_is_gone_leaves_the_samples_of_the_store(ran, tmp_path):
    bench, study, numbers = ran
    env = other_environment(tmp_path / "new")
    workload = bench.root / "blobs.py"
    aside = workload.rename(tmp_path / "blobs.py")
    try:
        checked = recheck(study, python=str(env), trials=[numbers["fp32"]])
    finally:
        aside.rename(workload)
    assert "accuracy" not in {check.metric for check in checked.checks}
    assert advice(checked, f"trial {numbers['fp32']}").step is NextStep.KEEP
    assert "test split is not to be had" in checked.environment["remark"]
