"""Expected costs: only what is not done costs, by a power law of the work."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Evaluation, Outcome, StageRecord
from paretune.search.record.protocols import Training
from paretune.search.record.treatment import LadderRung
from paretune.search.sampler.costs import Costs, PendingTrainings

CANDIDATE = Candidate(backend="ort", precision=Precision.FP32)


def training(key: str, kind: str = "distill", work: float | None = 1e9, done: bool = False) -> Training:
    return Training(key=key, kind=kind, work=work, done=done)


def costs(*seen: tuple[str, str, float, float | None]) -> Costs:
    found = Costs()
    for kind, key, seconds, work in seen:
        found.learn_training(kind, key, seconds, work)
    return found


def evaluation(outcome: Outcome = Outcome.COMPLETE, **seconds: float) -> Evaluation:
    stages = tuple(StageRecord(name=n, key=f"{n} 1", cached=False, seconds=s) for n, s in seconds.items())
    return Evaluation(candidate=CANDIDATE, outcome=outcome, stages=stages)


# -- seconds of what is to be done ---------------------------------------------------------------------


@pytest.mark.parametrize("power", [0.3, 0.5, 1.0])
def test_a_power_law_is_learned_from_trainings_of_the_kind(power):
    work = np.geomspace(1e8, 1e12, 9)
    seen = [("distill", f"s{i}", 20 * (w / 1e10) ** power, w) for i, w in enumerate(work)]
    found = costs(*seen, ("prune", "p", 1e5, 1e10)).training("distill", np.array([3e8, 1e10, 5e11]))
    assert found == pytest.approx(20 * (np.array([3e8, 1e10, 5e11]) / 1e10) ** power, rel=0.1)


@pytest.mark.parametrize(("power", "least", "most"), [(2.0, 1.0, 1.0), (-1.0, 0.0, 0.0), (0.7, 0.6, 0.8)])
def test_costs_grow_with_the_work_and_never_faster(power, least, most):
    work = np.geomspace(1e8, 1e11, 6)
    known = costs(*(("distill", f"s{i}", (w / 1e9) ** power, w) for i, w in enumerate(work)))
    low, high = known.training("distill", np.array([1e9, 1e10]))
    assert least - 1e-9 <= np.log10(high / low) <= most + 1e-9


def test_one_training_says_less_than_twice_for_twice_the_work():
    low, high = costs(("distill", "s", 30.0, 1e9)).training("distill", np.array([1e9, 4e9]))
    assert low == pytest.approx(30.0)
    assert 1.0 < high / low < 4.0


def test_without_work_the_mean_stands_in_and_without_the_kind_all_others():
    known = costs(("distill", "a", 10.0, None), ("distill", "b", 30.0, None))
    assert known.training("distill", np.full(2, np.nan)) == pytest.approx([20.0, 20.0])
    assert known.training("prune", np.array([np.nan])) == pytest.approx([20.0])
    assert known.typical_training == 20.0


def test_before_anything_was_seen_there_is_a_guess():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Costs().training("distill", np.array([np.nan, np.nan]))
        counted = Costs().training("distill", np.array([1e9, 4e9, np.nan]))
    assert (found > 0).all()
    assert np.isfinite(counted).all()
    assert counted[1] > counted[0] > 0
    assert Costs().device > 0


def test_a_training_that_took_no_time_teaches_nothing():
    assert costs(("distill", "a", 0.0, 1e9)).typical_training == 0.0


def test_device_seconds_are_those_of_the_stages_after_training_that_ran():
    known = Costs()
    known.learn_device(evaluation(distill=100.0, prune=50.0, compile=1.0, score=2.0, measure=3.0))
    known.learn_device(evaluation(Outcome.GATED, compile=40.0))
    known.learn_device(evaluation())
    assert known.device == known.measurement == 6.0
    known.learn_measurement(0.0)
    known.learn_measurement(1.5)
    assert (known.measurement, known.device) == (1.5, 6.0)


# -- what is still to be done --------------------------------------------------------------------------


def three_models() -> PendingTrainings:
    """A dense student, its pruned form, and the teacher that needs nothing."""
    dense = training("dense", work=4e9)
    return PendingTrainings([(dense,), (dense, training("pruned", "prune", work=1e9)), ()])


FLAT = costs(("distill", "x", 40.0, 4e9), ("prune", "y", 10.0, 1e9))
NO_MACS = np.full(3, np.nan)


def test_only_what_is_not_done_costs():
    pending = three_models()
    assert pending.seconds(FLAT, NO_MACS) == pytest.approx([40.0, 50.0, 0.0])
    pending.finish("dense")  # the dense student of the pruned one is there too now
    assert pending.seconds(FLAT, NO_MACS) == pytest.approx([0.0, 10.0, 0.0])
    pending.finish("pruned")
    pending.finish("of another study")
    assert pending.seconds(FLAT, NO_MACS) == pytest.approx([0.0, 0.0, 0.0])


def test_what_was_done_before_costs_nothing_from_the_start():
    done = training("dense", done=True)
    pending = PendingTrainings([(done,), (done, training("pruned", "prune", work=1e9)), ()])
    assert pending.seconds(FLAT, NO_MACS) == pytest.approx([0.0, 10.0, 0.0])


def test_a_training_given_up_takes_all_with_it_that_need_it():
    pending = three_models()
    pending.give_up("pruned")
    assert pending.given_up.tolist() == [False, True, False]
    pending.give_up("dense")
    assert pending.given_up.tolist() == [True, True, False]


def test_models_that_share_a_training():
    pending = PendingTrainings(
        [(training("a"),), (training("a"), training("b", "prune")), (training("c"),), ()]
    )
    assert [pending.sharing(model) for model in range(4)] == [[0, 1], [0, 1], [2], [3]]


def test_work_that_was_not_counted_follows_the_multiply_adds():
    known = [(training(f"s{i}", work=600.0 * macs),) for i, macs in enumerate((1e6, 2e6))]
    pending = PendingTrainings([*known, (training("s2", work=None),)])
    law = costs(*(("distill", f"x{i}", w / 1e7, w) for i, w in enumerate((1e8, 1e9, 1e10))))
    found = pending.seconds(law, np.array([1e6, 2e6, 4e6]))
    assert found[2] == pytest.approx(law.training("distill", np.array([600 * 4e6]))[0])
    assert found[0] < found[1] < found[2]
    assert pending.work("s1") == 600 * 2e6
    assert pending.work("s2") is None
    assert pending.work("nobody's") is None


def test_nothing_counted_and_nothing_seen_still_gives_numbers():
    pending = PendingTrainings([(training("a", work=None),), ()])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = pending.seconds(Costs(), np.full(2, np.nan))
    assert found[0] > 0
    assert found[1] == 0
    assert PendingTrainings([(), ()]).seconds(Costs(), np.ones(2)).tolist() == [0.0, 0.0]


def test_what_the_ladder_tried_is_no_cost_of_the_device():
    rung = LadderRung(
        name="calibration",
        predicted_gain=0.01,
        predicted_seconds=10.0,
        seconds=12.0,
        before=0.9,
        after=0.95,
        kept=True,
    )
    climbed = evaluation(compile=1.0 + 6.0, score=2.0 + 6.0, measure=3.0, qat=20.0)
    known = Costs()
    known.learn_device(replace(climbed, ladder=(rung, replace(rung, name="qat", seconds=22.0))))
    assert known.device == 6.0
