"""The audit of the gate: who is trained after all, who would have been on the front, what is said of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from paretune.profiles.precision import Precision
from paretune.search.gate.audit import audit_text, choose_audited, judged
from paretune.search.ranking.ranking import rank
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.evaluation import (
    Evaluation,
    Limit,
    Objective,
    Outcome,
    Quantity,
    StudyRecord,
    TrialRecord,
)

ACCURATE = Limit(text="accuracy >= 0.9", metric="accuracy", upper=False, bound=0.9)


def evaluation(
    number: int, accuracy: float, latency: float, outcome: Outcome = Outcome.COMPLETE
) -> Evaluation:
    candidate = Candidate(
        backend="ort", precision=Precision.INT8, student=(("width", number / 100),), recipe=Recipe(epochs=3)
    )
    hardware = {"latency_ms": Quantity(value=latency, low=latency - 0.1, high=latency + 0.1)}
    quality = Quantity(value=accuracy, low=accuracy - 0.01, high=accuracy + 0.01)
    complete = outcome is Outcome.COMPLETE
    metrics = {"accuracy": quality, **hardware} if complete else {}
    return Evaluation(candidate=candidate, outcome=outcome, metrics=metrics, gate=hardware)


def trial(number: int, *numbers: float, outcome: Outcome = Outcome.COMPLETE) -> TrialRecord:
    found = evaluation(number, *(numbers or (0.0, 1.0)), outcome=outcome)
    return TrialRecord(number=number, evaluation=found, started=0.0, seconds=1.0)


def study(*trials: TrialRecord, limits: tuple[Limit, ...] = (ACCURATE,), **more: object) -> StudyRecord:
    return StudyRecord(
        name="s",
        study_text="",
        workload="w",
        profile="host",
        quality="accuracy",
        objectives=(
            Objective(metric="accuracy", higher_is_better=True),
            Objective(metric="latency_ms", higher_is_better=False),
        ),
        limits=limits,
        trials=trials,
        **more,
    )


GATED = tuple(trial(number, outcome=Outcome.GATED) for number in range(10, 30))
OTHERS = (trial(1, 0.95, 2.0), trial(2, outcome=Outcome.REFUSED), trial(3, outcome=Outcome.FAILED))
STUDY = study(*OTHERS, *GATED, trial(4, 0.99, 1.0))


@pytest.mark.parametrize(("share", "count"), [(0, 0), (0.01, 1), (0.1, 2), (0.5, 10), (1, 20)])
def test_a_share_of_what_was_gated_and_of_nothing_else(share, count):
    chosen = choose_audited(STUDY, share, seed=0)
    assert len(chosen) == count
    assert list(chosen) == sorted(set(chosen))
    assert set(chosen) <= {record.number for record in GATED}


def test_the_same_seed_chooses_the_same_and_seeds_choose_all_of_them_in_the_end():
    assert choose_audited(STUDY, 0.2, seed=3) == choose_audited(STUDY, 0.2, seed=3)
    drawn = {number for seed in range(60) for number in choose_audited(STUDY, 0.2, seed=seed)}
    assert drawn == {record.number for record in GATED}


def test_a_training_that_was_paused_for_want_of_time_is_nothing_that_the_gate_stopped():
    trials = [
        replace(one, evaluation=replace(one.evaluation, stopped_epoch=1, paused=True, late=late))
        for one, late in zip(GATED, (False, True), strict=False)
    ]
    assert choose_audited(study(*OTHERS, *trials), 1, seed=0) == (GATED[0].number,)
    record = study(*trials, audit=(judged(study(*trials), GATED[0].number, evaluation(10, 0.5, 3.0)),))
    assert audit_text(record).startswith("1 of 1 gated candidates was trained")


def test_trials_that_repeat_another_are_left_out_and_where_none_was_gated_none_is_chosen():
    repeated = replace(GATED[1], duplicate_of=GATED[0].number)
    assert choose_audited(study(*OTHERS, GATED[0], repeated), 1, seed=0) == (GATED[0].number,)
    assert choose_audited(study(*OTHERS), 1, seed=0) == ()


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_lies_between_0_and_1(share):
    with pytest.raises(ValueError, match="between 0 and 1"):
        choose_audited(STUDY, share, seed=0)


@pytest.mark.parametrize(
    ("numbers", "on_front"),
    [
        ((0.97, 0.5), True),  # faster
        ((0.995, 3.0), True),  # more accurate, if not beyond error
        ((0.98, 3.0), False),  # slower and less accurate than #4
        ((0.98, 1.05), True),  # cannot be told apart from #4
        ((0.89, 0.5), False),  # over a limit
    ],
)
def test_who_would_have_been_on_the_front(numbers, on_front):
    found = judged(STUDY, 10, evaluation(10, *numbers))
    assert (found.number, found.on_front) == (10, on_front)
    assert found.evaluation.metrics["accuracy"].value == numbers[0]
    searched = study(*OTHERS, trial(4, 0.99, 1.0), trial(10, *numbers))  # had it been trained at once
    entry = rank(searched).of(10)
    assert (entry.on_front and entry.feasible) is on_front


def test_a_point_over_a_limit_beats_no_one():
    slow = Limit(text="latency >= 1.5 ms", metric="latency_ms", upper=False, bound=1.5)
    better = (trial(1, 0.97, 1.0), GATED[0])
    assert judged(study(*better, limits=(ACCURATE, slow)), 10, evaluation(10, 0.95, 2.0)).on_front
    assert not judged(study(*better), 10, evaluation(10, 0.95, 2.0)).on_front


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.REFUSED])
def test_what_did_not_come_to_an_end_was_not_on_the_front(outcome):
    assert not judged(STUDY, 10, evaluation(10, 1.0, 0.1, outcome=outcome)).on_front


def test_a_number_that_is_none_or_missing_is_not_on_the_front():
    good = evaluation(10, 0.97, 0.5)
    broken = {**good.metrics, "accuracy": Quantity(value=float("nan"))}
    assert not judged(STUDY, 10, replace(good, metrics=broken)).on_front
    less = {"accuracy": good.metrics["accuracy"]}
    assert not judged(STUDY, 10, replace(good, metrics=less)).on_front


def test_what_is_said():
    right = judged(STUDY, 10, evaluation(10, 0.5, 9.0))
    wrong = judged(STUDY, 11, evaluation(11, 0.97, 0.5))
    failed = judged(STUDY, 12, evaluation(12, 0.0, 1.0, outcome=Outcome.FAILED))
    assert audit_text(STUDY) == ""
    assert audit_text(replace(STUDY, audit=(right,))) == (
        "1 of 20 gated candidates was trained after all to check the gate: "
        "it would not have been on the front."
    )
    assert audit_text(replace(STUDY, audit=(right, failed))) == (
        "2 of 20 gated candidates were trained after all to check the gate (1 of them did not come to an "
        "end): none of them would have been on the front."
    )
    assert audit_text(replace(STUDY, audit=(right, wrong))) == (
        "2 of 20 gated candidates were trained after all to check the gate: 1 of them would have been on the "
        "front, so the gate was wrong about #11 (width=0.11, int8, ort)."
    )
    assert "it would have been on the front, so the gate was wrong about #11" in audit_text(
        replace(STUDY, audit=(wrong,))
    )
