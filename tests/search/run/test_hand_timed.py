"""Which artifact a row of a file of timings is about, also after a study was begun anew with timings."""

from __future__ import annotations

import pytest
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune.search.job.measurements import HandTimed
from paretune.search.record.candidate import Candidate
from paretune.search.record.estimated import Brought
from paretune.search.record.evaluation import Evaluation, Outcome, Quantity, TrialRecord
from paretune.search.run.hand_timed import Named

ONE, TWO = "1a" * 32, "1b" * 32
TEACHER = Candidate(backend="ort", precision=Precision.FP32)


def trial(number: int, key: str) -> TrialRecord:
    evaluation = Evaluation(
        candidate=TEACHER,
        outcome=Outcome.COMPLETE,
        metrics={"latency_ms": Quantity(value=number, provenance="estimated")},
        artifact_key=key,
    )
    return TrialRecord(number=number, evaluation=evaluation, started=0.0, seconds=0.0)


def row(trial: int | None = None, artifact: str = "") -> HandTimed:
    return HandTimed(place="pi.csv: line 2", trial=trial, artifact=artifact, metrics={"latency_ms": 1.0})


FIRST = Named([trial(3, ONE), trial(7, TWO)], ())
BEFORE = Brought(candidate=TEACHER, artifact=ONE, metrics={}, trial=3)
ANEW = Named([trial(3, TWO), trial(7, ONE)], (BEFORE,))


@pytest.mark.parametrize(
    ("named", "asked", "key"),
    [
        (FIRST, row(3), ONE),
        (FIRST, row(None, ONE), ONE),
        (FIRST, row(None, TWO[:8]), TWO),
        (FIRST, row(7, TWO[:8]), TWO),
        (ANEW, row(3), ONE),  # as it was when it was timed
        (ANEW, row(3, TWO), TWO),  # keys stay what they are
    ],
)
def test_rows_are_about_what_was_timed(named, asked, key):
    assert named.artifact(asked) == key


@pytest.mark.parametrize(
    ("named", "asked", "problem"),
    [
        (FIRST, row(4), "no artifact"),
        (FIRST, row(3, TWO), "not the same"),
        (FIRST, row(None, "ffffffff"), "no artifact"),
        (FIRST, row(None, "1"), "several"),
        (ANEW, row(7), "begun anew"),
    ],
)
def test_rows_that_name_nothing_are_refused_with_their_place(named, asked, problem):
    with pytest.raises(UserError, match=problem) as caught:
        named.artifact(asked)
    assert caught.value.place == "pi.csv: line 2"


def test_what_was_estimated_before_is_kept():
    estimate = FIRST.brought(TWO).estimate
    assert estimate is not None
    assert estimate.value == 7
    assert ANEW.brought(ONE) == BEFORE
