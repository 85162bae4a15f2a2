"""What failures that repeat tell of candidates that were not tried."""

from dataclasses import replace

import pytest
from paretune.profiles.precision import Precision
from paretune.search.driver.impossible import Impossible
from paretune.search.record.agreement import Agreement
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import EVERY_BACKEND, Evaluation, Outcome, TrialRecord

TEACHER = Candidate(backend="a", precision=Precision.INT16X8, calibration_method="minmax")
PERCENTILE = replace(TEACHER, calibration_method="percentile")
SMALL, SMALLER = (replace(TEACHER, student=(("width", width),)) for width in (8, 4))
OTHER = replace(SMALLER, student=(("width", 2),))
RANKS = "Ranks of scales ({}) and zps ({}) must be the same as that of 'layer{}'"


FIRST = RANKS.format(3, 2, 7)


def failed(number, candidate, cause=FIRST, **more):
    ended = Evaluation(candidate=candidate, outcome=Outcome.FAILED, stage="compile", cause=cause)
    return TrialRecord(number=number, evaluation=replace(ended, **more), started=0.0, seconds=1.0)


def refused(number, candidate, reason="no such layer"):
    ended = Evaluation(candidate=candidate, outcome=Outcome.REFUSED, reason=reason)
    return TrialRecord(number=number, evaluation=ended, started=0.0, seconds=1.0)


def complete(number, candidate):
    ended = Evaluation(candidate=candidate, outcome=Outcome.COMPLETE)
    return TrialRecord(number=number, evaluation=ended, started=0.0, seconds=1.0)


@pytest.mark.parametrize("second", [SMALL, PERCENTILE], ids=["another model", "the teacher otherwise"])
def test_two_that_fail_alike_mask_their_backend_and_precision(second):
    known = Impossible()
    assert not known.learn(failed(3, TEACHER))
    assert not known.holds(OTHER)
    assert known.learn(failed(5, second, cause=RANKS.format(4, 1, 9)))
    assert known.holds(OTHER)
    ended = known.refusal(OTHER)
    assert ended.outcome is Outcome.REFUSED
    assert "#3, #5" in ended.reason
    assert [(m.backend, m.what) for m in known.masked] == [("a", "int16x8")]
    assert not known.holds(replace(OTHER, precision=Precision.INT8))
    assert not known.holds(replace(OTHER, backend="b"))


@pytest.mark.parametrize(
    "second",
    [
        failed(5, replace(SMALL, calibration_method="percentile")),
        failed(5, SMALLER, cause="out of registers"),
        failed(5, SMALLER, stage="score"),
        failed(5, SMALLER, disagrees=True),
        failed(5, SMALLER, try_again=True),
        failed(5, replace(SMALLER, sparsity="2:4")),
        failed(5, replace(SMALLER, backend="b")),
    ],
    ids=["same student", "other cause", "other stage", "disagrees", "from outside", "sparse", "elsewhere"],
)
def test_what_tells_nothing_of_others_masks_nothing(second):
    known = Impossible()
    known.learn(failed(3, SMALL))
    assert not known.learn(second)
    assert not known.holds(OTHER)


def test_one_success_keeps_a_class_open():
    known = Impossible()
    known.learn(complete(1, TEACHER))
    known.learn(failed(3, SMALL))
    assert not known.learn(failed(5, SMALLER))
    assert not known.holds(OTHER)


def test_a_model_refused_alike_in_two_precisions_is_masked_on_every_backend():
    known = Impossible()
    known.learn(refused(3, SMALL))
    assert known.learn(refused(5, replace(SMALL, precision=Precision.FP32)))
    assert known.holds(replace(SMALL, precision=Precision.INT8, backend="b"))
    assert not known.holds(SMALLER)
    assert [(m.backend, m.what) for m in known.masked] == [(EVERY_BACKEND, "width=8")]


def test_a_student_known_beforehand_is_refused_with_its_reason():
    known = Impossible({SMALL.student: "no equal blocks"})
    assert known.refusal(SMALL).reason == "no equal blocks"
    assert known.refusal(TEACHER) is None


def test_the_same_trials_read_again_lead_to_the_same():
    trials = [failed(3, TEACHER), failed(5, SMALL)]
    first = Impossible()
    for trial in trials:
        first.learn(trial)
    trials.append(refused(7, OTHER, first.reason(OTHER)))
    again = Impossible()
    for trial in trials:
        again.learn(trial)
    assert again.masked == first.masked


def wrong(number, candidate, why):
    agreement = Agreement(agrees=False, output="y", samples=9, why=why)
    return failed(number, candidate, stage="agree", cause=f"computes wrongly: {why}", agreement=agreement)


def gated(number, candidate):
    return TrialRecord(
        number=number,
        evaluation=Evaluation(candidate=candidate, outcome=Outcome.GATED),
        started=0.0,
        seconds=1.0,
    )


def test_a_device_that_computes_wrongly_twice_is_not_trained_for():
    known = Impossible()
    known.learn(gated(1, SMALLER))  # measured with untrained weights, which tells nothing of outputs
    known.learn(wrong(3, TEACHER, "another largest score for 3 of them"))
    assert not known.holds(OTHER), "each artifact answers for itself until two have failed"
    assert known.learn(wrong(5, SMALL, "NaN"))
    ended = known.refusal(OTHER)
    assert ended.outcome is Outcome.REFUSED
    assert not ended.agreement.agrees, "a mended device is asked about it again"
    assert not known.holds(replace(OTHER, precision=Precision.INT8))


def test_one_that_it_computes_rightly_keeps_the_others_open():
    known = Impossible()
    known.learn(complete(1, SMALLER))
    known.learn(wrong(3, TEACHER, "NaN"))
    known.learn(wrong(5, SMALL, "NaN"))
    assert not known.holds(OTHER)
