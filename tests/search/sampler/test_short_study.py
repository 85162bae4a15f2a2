"""A short study in place of a long one."""

from __future__ import annotations

import warnings
from itertools import pairwise

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import TPESampler
from optuna.study import Study
from optuna.trial import TrialState, create_trial
from paretune.search.sampler.short_study import GROWTH, LONGEST, Excerpt

AXES = {"x": FloatDistribution(0.0, 1.0), "kind": CategoricalDistribution(["a", "b"])}


@pytest.fixture(autouse=True)
def _quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


def add(study: Study, count: int) -> None:
    for _ in range(count):
        place = len(study.get_trials(deepcopy=False))
        x, failed = (place % 100) / 100, place % 10 == 9
        study.add_trial(
            create_trial(
                state=TrialState.FAIL if failed else TrialState.COMPLETE,
                values=None if failed else [x, 1 - x],
                params={"x": x, "kind": "a" if x < 0.5 else "b"},
                distributions=AXES,
                user_attrs={"evaluation": "long"},
                system_attrs={"constraints": (x - 0.5,)},
            )
        )


def long_study(count: int) -> Study:
    study = optuna.create_study(directions=["maximize", "minimize"])
    add(study, count)
    return study


def numbers(part: Study, whole: Study) -> list[int]:
    """Where the trials of an excerpt stand in the study, by what they hold."""
    trials = {trial.number: trial for trial in whole.get_trials(deepcopy=False)}
    found, start = [], 0
    for trial in part.get_trials(deepcopy=False):
        start = next(n for n in range(start, len(trials)) if trials[n].params == trial.params)
        assert trials[start].values == trial.values
        assert trials[start].system_attrs == trial.system_attrs
        found.append(start)
        start += 1
    return found


def test_a_short_study_is_handed_over_as_it_is():
    study = long_study(LONGEST)
    assert Excerpt().of(study, ()) is study


def test_a_long_one_keeps_its_best_and_a_spread_of_the_others():
    study = long_study(1000)
    found = Excerpt().of(study, {3, 700})
    places = numbers(found, study)
    assert found.directions == study.directions
    assert LONGEST - 2 <= len(places) <= LONGEST
    assert min(places) < 20
    assert max(places) == 998, "the last trial but the one that failed"
    assert max(b - a for a, b in pairwise(places)) < 60
    assert not any(trial.user_attrs for trial in found.get_trials(deepcopy=False))
    kept = [trial.params["x"] for trial in found.get_trials(deepcopy=False)]
    assert 0.03 in kept
    assert 0.0 in kept


def test_best_trials_do_not_crowd_out_the_others():
    study = long_study(1000)
    best = set(range(600))
    places = numbers(Excerpt().of(study, best), study)
    assert len(places) <= LONGEST
    assert max(places) == 998
    assert max(b - a for a, b in pairwise(places)) < 20


def test_new_trials_are_added_until_there_are_too_many():
    study, excerpt = long_study(600), Excerpt()
    first = excerpt.of(study, ())
    count = len(first.get_trials(deepcopy=False))
    add(study, 10)
    again = excerpt.of(study, ())
    assert again is first
    assert len(again.get_trials(deepcopy=False)) == count + 9
    assert excerpt.of(study, ()) is first
    assert len(first.get_trials(deepcopy=False)) == count + 9
    add(study, round(GROWTH * LONGEST))
    anew = excerpt.of(study, ())
    assert anew is not first
    assert len(anew.get_trials(deepcopy=False)) <= LONGEST


def test_tpe_learns_from_it():
    study = optuna.create_study(direction="minimize")
    for place in range(600):
        x = (place % 97) / 97
        study.add_trial(create_trial(value=(x - 0.7) ** 2, params={"x": x}, distributions={"x": AXES["x"]}))
    short = Excerpt().of(study, ())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sampler = TPESampler(seed=0)
        drawn = [sampler.sample_independent(short, study.trials[-1], "x", AXES["x"]) for _ in range(20)]
    assert sum(abs(x - 0.7) < 0.15 for x in drawn) > 15
