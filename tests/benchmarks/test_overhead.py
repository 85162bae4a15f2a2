"""The overhead benchmark: told studies are as real ones, the figures follow from rounds, the command."""

import json
import math

import pytest
from paretune.search.record.evaluation import EVALUATION, Outcome
from paretune.search.sampler.pool import Pool

from benchmarks.overhead import proposals
from benchmarks.overhead.made_up import TABLES, told
from benchmarks.overhead.proposals import SAMPLERS, growth, time_many, time_one, time_proposals
from benchmarks.simulation.search import OURS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tables():
    return {name: make() for name, make in TABLES.items()}


@pytest.fixture(scope="module")
def history(tables):
    return told(tables["deployment"], 60, seed=1)


def test_the_spaces_are_of_the_size_that_is_said(tables):
    assert {name: table.space.size for name, table in tables.items()} == {
        "deployment": 18_850,
        "architectures": 15_626,
    }
    assert len(Pool(tables["deployment"].space, 0).model_candidates) == 725


def evaluations(history):
    return [EVALUATION.validate_json(trial.user_attrs["evaluation"]) for trial in history.trials]


def test_a_told_trial_holds_its_evaluation_as_a_real_study_keeps_it(history):
    space, found = history.table.space, evaluations(history)
    assert len(found) == 60
    for trial, evaluation in zip(history.trials, found, strict=True):
        assert trial.state.is_finished()
        assert space.params(evaluation.candidate) == trial.params
    assert {evaluation.outcome for evaluation in found} == {Outcome.COMPLETE, Outcome.GATED}
    assert [e.baseline for e in found].count(True) == len(space.baselines())


def test_a_study_is_told_the_same_whenever_the_seed_is_the_same(history):
    assert evaluations(told(history.table, 60, seed=1)) == evaluations(history)
    assert evaluations(told(history.table, 60, seed=2)) != evaluations(history)


def test_more_trials_than_candidates_are_refused(tables):
    with pytest.raises(ValueError, match="18850 candidates, 20000 trials"):
        told(tables["deployment"], 20_000, seed=0)


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_sampler_goes_on_from_what_was_told(history, name):
    rounds = time_one(history, name, seed=0, rounds=2)
    assert len(rounds) == 3
    assert all(seconds > 0 for seconds in rounds)
    assert history.evaluator.evaluations == len(history.trials)  # the next sampler finds it as it was


def test_a_driver_of_many_goes_on_from_what_was_told(history):
    assert time_many(history, 0, workers=3, results=4) > 0
    assert history.evaluator.evaluations == len(history.trials)


def test_figures_of_each_sampler_and_size(tables):
    found = time_proposals(tables["architectures"], [20, 40], ["tpe", "random"], rounds=3, repeats=2)
    for name in ("tpe", "random"):
        assert list(found[name]) == ["20", "40"]
        for taken in found[name].values():
            assert taken["rounds"] == 6
            assert all(taken[name] > 0 for name in ("propose_s", "first_s"))
    expected = math.log(found["tpe"]["40"]["propose_s"] / found["tpe"]["20"]["propose_s"]) / math.log(2)
    assert growth(found["tpe"], 20, 40) == pytest.approx(expected)


def test_goals_are_of_what_was_measured_of_ours():
    part = {"samplers": {OURS: {"1000": {"propose_s": 0.04}}}, "growth": {OURS: 1.3, "tpe": 1.0}}
    assert [found[1:] for found in proposals.goals(part)] == [(0.04, 0.015), (1.3, 1.2)]
    assert proposals.goals({"samplers": {"tpe": {"1000": {"propose_s": 0.04}}}, "growth": {"tpe": 1.0}}) == []


def test_the_command_writes_and_shows_the_figures(tmp_path, capsys):
    out = tmp_path / "new" / "proposals.json"
    small = ["--out", str(out), "--sizes", "20,40", "--rounds", "2", "--repeats", "1"]
    assert proposals.main([*small, "--tasks", "architectures", "--samplers", "random"]) == 0
    assert set(json.loads(out.read_text())["architectures"]["growth"]) == {"random"}
    assert "Milliseconds per proposal, architectures (15626 candidates)" in capsys.readouterr().out
    assert proposals.main([*small, "--samplers", "cma"]) == 1
    told = capsys.readouterr().err
    assert "cma" in told
    assert OURS in told
