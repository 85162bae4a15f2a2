"""A backend that has to be tuned is offered with a tuning budget only."""

import pytest
from paretune.backends.registry import offers
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.errors import UserError
from paretune.search.job import space_of_a_job
from paretune.search.job.job import load_job

WORKLOAD = """
import numpy as np
import paretune

ten = paretune.Split(inputs={"x": np.arange(40.0, dtype="f4").reshape(10, 4)}, labels=np.arange(10) % 2)
workload = paretune.Workload(
    name="w", teacher=lambda: None, metric="accuracy", student=lambda width: None,
    splits=lambda: paretune.Splits(train=ten, calibration=ten, validation=ten, test=ten),
)
"""
BACKEND = """
from paretune.backends import contract
from paretune.profiles.precision import Precision


class Slow(contract.Backend):
    name, tunable = "slow", True

    def availability(self):
        return contract.Availability(installed=True, version="1")

    def precisions(self, profile):
        return (Precision.FP32,)

    def compile(self, model, settings, calibration, into): ...

    def open(self, artifact, batch, threads): ...


class Quick(Slow):
    name, tunable = "quick", False
"""
SLOW, QUICK = "slow_backends:Slow", "slow_backends:Quick"
STUDY = "name: small\nworkload: work.py\nprofile: x86-avx2\nbudget: {trials: 4, time: 5 min}\n"
BOTH = f"space: {{backend: ['{SLOW}', '{QUICK}']}}\n"


@pytest.fixture
def load(tmp_path):
    (tmp_path / "work.py").write_text(WORKLOAD)
    (tmp_path / "slow_backends.py").write_text(BACKEND)

    def read(lines):
        (tmp_path / "study.yaml").write_text(STUDY + lines)
        return load_job(tmp_path / "study.yaml")

    return read


def test_without_a_budget_it_is_masked_and_refused_where_it_was_asked_for(load, monkeypatch):
    with pytest.raises(UserError) as refused:
        load(BOTH)
    assert "line 5" in refused.value.place
    assert "tuning: {" in refused.value.accepted
    monkeypatch.setattr(space_of_a_job, "backend_names", lambda: (SLOW, QUICK))
    space = load("tuning:\n").space  # nothing after the colon: left out
    assert [one.name for one in space.backends] == [QUICK]
    (masked,) = (one for one in space.masked if one.backend == SLOW)
    assert masked.what == "all"
    assert "tuning: {" in masked.reason


def test_with_one_it_is_offered_after_the_others_and_part_of_the_problem(load):
    job = load(BOTH + "tuning: {trials: 8, time: 30 s}\n")
    assert [one.name for one in job.space.backends] == [QUICK, SLOW]
    assert job.problem()["tuning"] == {"trials": 8, "time": 30.0}
    assert "tuning" not in load(f"space: {{backend: '{QUICK}'}}\n").problem()
    both = load(BOTH + "tuning: {time: 4 min}\n").file.tuning
    assert (both.trials, both.time) == (256, 240.0)


def test_its_offers_say_that_it_is_tuned(load):
    load(BOTH + "tuning: {time: 30 s}\n")
    (first, *_), (other, *_) = (offers(name, load_profile("x86-avx2")) for name in (SLOW, QUICK))
    assert first.offered
    assert "tuning" in first.reason
    assert not other.reason


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        ("tuning: {trials: 0}", "line 6, column 10"),
        ("tuning: {trials: 2.5}", "line 6, column 10"),
        ("tuning: {trials: many}", "line 6, column 10"),
        ("tuning: {trials: 10000000}", "line 6, column 10"),
        ("tuning: {time: 0 s}", "line 6, column 10"),
        ("tuning: {time: -1 s}", "line 6, column 10"),
        ("tuning: {time: 10}\ntuning: {time: 10}", "line 7"),
        ("tuning: {time: 10 parsecs}", "line 6, column 10"),
        ("tuning: {time: 30 d}", "line 6, column 10"),
        ("tuning: {rounds: 3}", "line 6, column 10"),
        ("tuning: yes", "line 6, column 1"),
        ("tuning: 10 min", "line 6, column 1"),
        ("tuning: {trials: 8}", "line 6, column 1"),  # 10 min, of a study of 5
        ("tuning: {time: 301 s}", "line 6, column 10"),
    ],
)
def test_nonsense_is_refused_with_its_place(load, lines, place):
    with pytest.raises(UserError) as refused:
        load(BOTH + lines + "\n")
    assert place in str(refused.value)
