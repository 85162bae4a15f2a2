"""The overhead benchmark: told studies are as real ones, the figures follow from rounds, the command."""

import json
import math

import pytest
from optuna.samplers import NSGAIISampler
from paretune.search.record.evaluation import EVALUATION, Outcome
from paretune.search.sampler.pool import Pool

from benchmarks.overhead.driver import covered, time_bookkeeping
from benchmarks.overhead.proposals import NAMES, OURS, Bench, growth, time_proposals
from benchmarks.overhead.run import goals, main
from benchmarks.overhead.tasks import TASKS, architectures, deployment, told


@pytest.fixture(scope="module")
def deployed():
    return deployment()


@pytest.fixture(scope="module")
def history(deployed):
    return told(deployed, 60, seed=1)


def test_the_spaces_are_of_the_size_that_is_said():
    spaces = {name: make().space for name, make in TASKS.items()}
    assert {name: space.size for name, space in spaces.items()} == {
        "deployment": 18_850,
        "architectures": 15_626,
    }
    assert len(Pool(spaces["deployment"], 0).model_candidates) == 725


def test_a_told_trial_holds_its_evaluation_as_a_real_study_keeps_it(history):
    assert len(history.trials) == 60
    for trial, evaluation in zip(history.trials, history.evaluations, strict=True):
        assert trial.state.is_finished()
        assert EVALUATION.validate_json(trial.user_attrs["evaluation"]) == evaluation
        assert history.task.space.params(evaluation.candidate) == trial.params
    outcomes = {evaluation.outcome for evaluation in history.evaluations}
    assert outcomes == {Outcome.COMPLETE, Outcome.GATED}
    assert [e.baseline for e in history.evaluations].count(True) == len(history.task.space.baselines())


def test_a_study_is_told_the_same_whenever_the_seed_is_the_same(deployed, history):
    again, other = told(deployed, 60, seed=1), told(deployed, 60, seed=2)
    assert again.evaluations == history.evaluations
    assert other.evaluations != history.evaluations


def test_more_trials_than_candidates_are_refused(deployed):
    with pytest.raises(ValueError, match="18850 candidates, 20000 trials"):
        told(deployed, 20_000, seed=0)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "gp"])
def test_every_sampler_goes_on_from_what_was_told(deployed, name):
    past = told(deployed, 40, seed=0)
    bench = Bench(name, past, seed=0)
    for _ in range(2):
        proposing, telling = bench.round()
        assert proposing > 0
        assert telling > 0
    trials = bench.studies.study.get_trials(deepcopy=False)
    assert len(trials) >= 42
    assert all(trial.state.is_finished() for trial in trials)
    if name == OURS:  # it has taken in what was told, and asks for nothing that is known
        knowledge = bench.guide._policy.knowledge
        complete = [e for e in past.evaluations if e.outcome is Outcome.COMPLETE]
        assert len(knowledge.observed) >= len(complete)
        assert not any("duplicate_of" in trial.user_attrs for trial in trials)


def test_nsga2_finds_the_told_trials_in_its_generations(deployed):
    past = told(deployed, 100, seed=0)
    bench = Bench("nsga2", past, seed=0)
    bench.round()
    sampler, last = bench.studies.study.sampler, bench.studies.study.get_trials()[-1]
    assert isinstance(sampler, NSGAIISampler)
    complete = sum(evaluation.outcome is Outcome.COMPLETE for evaluation in past.evaluations)
    assert last.system_attrs[sampler._get_generation_key()] == complete // sampler.population_size > 1


def test_figures_of_each_sampler_and_size():
    found = time_proposals(architectures(), [20, 40], ["tpe", "random"], rounds=3, repeats=2)
    for name in ("tpe", "random"):
        assert list(found[name]) == ["20", "40"]
        for taken in found[name].values():
            assert taken["rounds"] == 6
            low, high = taken["quartiles_s"]
            assert 0 < low <= taken["propose_s"] <= high
            assert taken["round_s"] >= taken["tell_s"] > 0
    expected = math.log(found["tpe"]["40"]["propose_s"] / found["tpe"]["20"]["propose_s"]) / math.log(2)
    assert growth(found["tpe"], 20, 40) == pytest.approx(expected)


def test_a_size_that_is_too_large_for_a_sampler_has_its_reason():
    found = time_proposals(architectures(), [1010], ["gp"], rounds=1, repeats=1)
    assert found["gp"]["1010"]["propose_s"] is None
    assert "not asked after 1010 trials" in found["gp"]["1010"]["why"]
    assert growth(found["gp"], 100, 1010) is None


def test_what_overlaps_is_covered_once():
    assert covered([(5.0, 7.0), (0.0, 2.0), (1.0, 3.0), (5.5, 6.0)]) == pytest.approx(5.0)
    assert covered([]) == 0


def test_goals_are_judged_by_what_was_measured():
    part = {
        "samplers": {OURS: {"1000": {"propose_s": 0.04}}},
        "growth": {"from": 1000, "to": 10_000, "power": {OURS: 1.3}},
    }
    shares = [{"driver_share": share} for share in (0.01, 0.5, 0.015)]
    judged = goals({"proposals": {"deployment": part}, "share": shares})
    assert {what: (goal["measured"], goal["met"]) for what, goal in judged.items()} == {
        "deployment: seconds per proposal at 1000 trials": (0.04, True),
        "deployment: power of growth with the trials": (1.3, False),
        "share of the driver": (0.015, True),
    }


def test_the_driver_goes_on_in_a_study_on_disk(deployed):
    found = time_bookkeeping(deployed, [30], trials=2, sampler="random")
    assert found["30"]["trials"] == 2
    assert all(found["30"][name] > 0 for name in ("trial_s", "open_s", "first_s", "end_s"))


@pytest.mark.slow
def test_command_keeps_the_parts_that_are_not_run_anew(tmp_path, capsys):
    out = tmp_path / "new" / "overhead.json"
    small = ["--out", str(out), "--sizes", "20,40", "--rounds", "2", "--repeats", "1"]
    assert main([*small, "--parts", "proposals", "--tasks", "architectures", "--samplers", "random"]) == 0
    first = json.loads(out.read_text())
    assert first["proposals"]["architectures"]["growth"]["to"] == 40
    assert main([*small, "--parts", "bookkeeping"]) == 0
    both = json.loads(out.read_text())
    assert both["proposals"] == first["proposals"]
    assert set(both["bookkeeping"]) == {"random", OURS}
    told = capsys.readouterr().out
    assert "Milliseconds per proposal, architectures (15626 candidates)" in told
    assert "after     40:" in told


def test_unknown_names_are_refused_in_one_message(tmp_path, capsys):
    assert main(["--out", str(tmp_path / "o.json"), "--samplers", "cma"]) == 1
    told = capsys.readouterr().err
    assert "cma" in told
    assert OURS in told


@pytest.mark.slow
def test_share_of_the_driver_in_a_real_study(tmp_path, capsys):
    out = tmp_path / "overhead.json"
    assert main(["--out", str(out), "--parts", "share", "--trials", "2"]) == 0
    (study,) = json.loads(out.read_text())["share"]
    assert study["trials"] >= 2
    assert {"compile", "export", "score", "measure"} <= set(study["stages_s"])
    assert "teacher" not in study["stages_s"]  # trained before the search began
    assert 0 < study["driver_s"] < study["wall_s"]
    assert "share of the driver" in capsys.readouterr().out
