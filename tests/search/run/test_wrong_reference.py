"""A teacher from which the device computes wrongly ends the study before anything else is trained."""

import pytest
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune.search.driver.reference import failed, prepare
from paretune.search.record.agreement import Agreement, ComputesWronglyError
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Evaluation, Outcome, TrialRecord

TEACHER = Candidate(backend="tflite", precision=Precision.FP32)
WRONG = Agreement(
    agrees=False,
    output="y",
    samples=256,
    why="128 % off over 256 samples where 0.1 % is possible",
    here={"ai-edge-litert": "2.2.0"},
    there={"ai-edge-litert": "2.3.0"},
)


class OnAWrongDevice:
    def prepare_reference(self, candidate):
        raise ComputesWronglyError(WRONG)


def told(error):
    assert isinstance(error, UserError)
    assert TEACHER.title in error.problem
    assert WRONG.why in error.found
    assert "2.3.0 there, 2.2.0 here" in error.found
    assert "delegate" in error.remedy


def test_when_it_is_made_ready():
    with pytest.raises(UserError) as caught:
        prepare(OnAWrongDevice(), TEACHER, None)
    told(caught.value)


def test_when_it_was_evaluated():
    cause = ComputesWronglyError(WRONG).cause
    evaluation = Evaluation(
        candidate=TEACHER, outcome=Outcome.FAILED, stage="agree", cause=cause, agreement=WRONG
    )
    told(failed(TEACHER, TrialRecord(number=0, evaluation=evaluation, started=0.0, seconds=1.0)))
