"""What is said of a study whose device was not there: what is expected, what stays open, which exit code."""

from __future__ import annotations

from dataclasses import replace

import pytest
from paretune.profiles.precision import Precision
from paretune.search.ranking.estimated import ratio_of_estimates
from paretune.search.ranking.reading import read
from paretune.search.ranking.sentences import quantity_text, speed_words
from paretune.search.ranking.verdict import DO_NOTHING, MET, NOT_MET, UNDECIDED
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.estimated import Estimated
from paretune.search.record.evaluation import (
    Evaluation,
    Limit,
    Objective,
    Outcome,
    Quantity,
    StudyRecord,
    TrialRecord,
)

FAST = Limit(text="latency <= 5 ms", metric="latency_ms", upper=True, bound=5.0)
ACCURATE = Limit(text="accuracy >= 0.9", metric="accuracy", upper=False, bound=0.9)


def expected(value: float, factor: float = 1.5) -> Quantity:
    return Quantity(value=value, low=value / factor, high=value * factor, provenance="estimated")


def trial(
    number: int, accuracy: float, latency: Quantity, size: float, *, simple: bool = False
) -> TrialRecord:
    candidate = Candidate(
        backend="ort",
        precision=Precision.FP32,
        student=() if simple else (("width", number),),
        recipe=None if simple else Recipe(epochs=1),
    )
    metrics = {
        "accuracy": Quantity(value=accuracy, low=accuracy - 0.01, high=accuracy + 0.01),
        "latency_ms": latency,
        "size_bytes": Quantity(value=size),
    }
    evaluation = Evaluation(
        candidate=candidate,
        outcome=Outcome.COMPLETE,
        metrics=metrics,
        baseline=simple,
        artifact_key=f"{number:064x}",
    )
    return TrialRecord(number=number, evaluation=evaluation, started=0.0, seconds=1.0)


def study(*trials: TrialRecord, limits: tuple[Limit, ...] = (FAST,)) -> StudyRecord:
    return StudyRecord(
        name="away",
        study_text="",
        workload="blobs",
        profile="raspberry-pi-5",
        quality="accuracy",
        objectives=tuple(
            Objective(metric=name, higher_is_better=name == "accuracy")
            for name in ("accuracy", "latency_ms", "size_bytes")
        ),
        limits=limits,
        trials=trials,
        stopped="the budget is used up",
        estimated=Estimated(device="Raspberry Pi 5"),
    )


@pytest.mark.parametrize(
    ("latencies", "status", "recommended", "code"),
    [
        ((20.0, 2.0), MET, 1, 0),  # 1.3 to 3 ms: the whole range is within
        ((20.0, 4.0), UNDECIDED, 1, 2),  # 2.7 to 6 ms
        ((20.0, 6.0), UNDECIDED, 1, 2),  # expected to be missed, but not for certain
        ((20.0, 9.0), NOT_MET, 1, 2),  # 6 ms at the least
        ((6.5, 4.9), UNDECIDED, 1, 2),  # both are open: the one that is expected to be within
    ],
)
def test_a_limit_is_met_by_the_whole_range(latencies, status, recommended, code):
    teacher, student = (expected(latency) for latency in latencies)
    answer = read(study(trial(0, 0.95, teacher, 4e6, simple=True), trial(1, 0.95, student, 1e6))).verdict
    assert (answer.status, answer.recommended, answer.exit_code) == (status, recommended, code)


def test_a_quality_that_is_missed_leaves_nothing_open():
    record = study(trial(1, 0.8, expected(4.0), 1e6), limits=(FAST, ACCURATE))
    assert read(record).verdict.status == NOT_MET


def test_what_surely_fits_goes_before_what_may_be_faster_by_its_value():
    sure, open_one = trial(1, 0.95, expected(3.0, 1.2), 1e6), trial(2, 0.95, expected(2.9, 2.5), 9e5)
    answer = read(study(trial(0, 0.95, expected(20.0), 4e6, simple=True), sure, open_one)).verdict
    assert (answer.status, answer.recommended) == (MET, 1)
    assert any("#2" in line for line in answer.lines)


def test_what_lies_in_the_range_is_no_speed_up():
    teacher, student = trial(0, 0.95, expected(4.0), 1e6, simple=True), trial(1, 0.95, expected(3.5), 1e6)
    answer = read(study(teacher, student, limits=())).verdict
    assert (answer.status, answer.recommended) == (DO_NOTHING, 0)


def test_words_of_estimates_claim_no_measurement():
    record = study(trial(0, 0.95, expected(20.0), 4e6, simple=True), trial(1, 0.95, expected(2.0), 1e6))
    answer = read(record).verdict
    said = " ".join((answer.headline, *answer.lines, *answer.sure)).lower()
    assert "measured" not in said
    assert "95 %" not in said
    assert "expected" in answer.headline.lower()
    assert any("estimated" in line for line in answer.lines)


def test_a_measured_study_is_read_as_ever():
    value = Quantity(value=4.0, low=3.5, high=5.5)
    record = replace(study(trial(0, 0.95, value, 4e6, simple=True)), estimated=None)
    assert read(record).verdict.status == DO_NOTHING


def test_a_ratio_of_estimates_is_an_estimate_by_factors():
    ratio = ratio_of_estimates(expected(10.0, 2.0), expected(5.0, 2.0))
    assert ratio.value == 2
    assert ratio.is_estimate
    assert ratio.low is not None
    assert ratio.high is not None
    assert ratio.low * ratio.high == pytest.approx(4)
    assert ratio.high / 2 == pytest.approx(2 ** (2**0.5))
    assert "not known" in speed_words(ratio)


@pytest.mark.parametrize("end", [0.0, None])
def test_a_range_without_ends_claims_nothing(end):
    ratio = ratio_of_estimates(replace(expected(10.0), low=end, high=end), expected(5.0))
    assert ratio.low is not None
    assert ratio.high is not None
    assert ratio.low <= ratio.value <= ratio.high


def test_each_number_says_that_it_is_an_estimate():
    assert "estimated" in quantity_text("latency_ms", expected(2.0))
    assert "estimated" in quantity_text("latency_ms", Quantity(value=2.0, provenance="estimated"))
    assert "estimated" not in quantity_text("latency_ms", Quantity(value=2.0, low=1.0, high=3.0))
