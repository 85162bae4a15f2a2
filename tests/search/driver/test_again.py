"""What stands of an earlier session, and what the next one tries again."""

import time
from dataclasses import replace

import pytest
from paretune.profiles.precision import Precision
from paretune.search.driver.again import is_open, settled
from paretune.search.record.agreement import Agreement
from paretune.search.record.candidate import Recipe
from paretune.search.record.evaluation import Evaluation, Outcome, TrialRecord
from paretune.search.space.space import BackendChoices, Space

SPACE = Space(
    backends=(
        BackendChoices(
            name="ort",
            precisions=(Precision.FP32, Precision.INT8),
            calibration_methods=("minmax",),
            sparsities=("dense",),
        ),
    ),
    student_axes={"width": (0.25, 0.5)},
    temperatures=(4.0,),
    weights=(0.5,),
    calibration_samples=(32,),
    per_channel=(True,),
    recipe=Recipe(epochs=3),
)
TEACHER = SPACE.baselines()[0]
OTHER = next(c for c in SPACE.candidates() if not c.is_teacher)


def trial(number, candidate, outcome=Outcome.FAILED, **fields):
    evaluation = Evaluation(candidate=candidate, outcome=outcome, **fields)
    return TrialRecord(number=number, evaluation=evaluation, started=time.time(), seconds=1.0)


@pytest.mark.parametrize(
    ("candidate", "fields", "again"),
    [
        (OTHER, {"try_again": True}, True),
        (OTHER, {"cause": "killed by signal 11"}, False),
        (TEACHER, {"cause": "killed by signal 11"}, True),
        (TEACHER, {"outcome": Outcome.REFUSED, "reason": "no such operator"}, True),
        (TEACHER, {"outcome": Outcome.COMPLETE}, False),
    ],
)
def test_what_is_tried_again(candidate, fields, again):
    known, open_ones = settled((trial(0, candidate, **fields),), SPACE)
    assert open_ones == ((candidate,) if again else ())
    assert (candidate.digest in known) is not again


def test_the_later_end_of_a_candidate_stands():
    first, second = trial(0, OTHER, try_again=True), trial(3, OTHER, Outcome.COMPLETE)
    repeated = replace(first, number=1, duplicate_of=0)
    known, open_ones = settled((first, repeated, second), SPACE)
    assert (known, open_ones) == ({OTHER.digest: second}, ())


def test_what_is_in_the_space_no_longer_is_left_alone():
    gone = replace(OTHER, student=(("width", 0.123),))
    assert settled((trial(0, gone, try_again=True),), SPACE) == ({}, ())


@pytest.mark.parametrize(
    ("agrees", "version", "outcome", "again"),
    [
        (True, "2.3.0", Outcome.COMPLETE, False),
        (True, "2.4.0", Outcome.COMPLETE, True),  # another runtime by now
        (True, None, Outcome.COMPLETE, False),  # the device does not tell
        (False, "2.3.0", Outcome.FAILED, True),  # the device may be mended by now
    ],
)
def test_what_was_computed_by_another_runtime_or_wrongly_is_tried_again(agrees, version, outcome, again):
    agreement = Agreement(agrees=agrees, output="y", samples=9, there={"ai-edge-litert": "2.3.0"})
    told = {"packages": {"ai-edge-litert": version} if version else {}}
    _, open_ones = settled((trial(0, OTHER, outcome, agreement=agreement),), SPACE, told)
    assert open_ones == ((OTHER,) if again else ())
    ended = is_open((trial(0, OTHER, outcome, agreement=agreement),), told)
    assert ended is (version == "2.4.0"), "an ended study goes on for another runtime, or by --again"
