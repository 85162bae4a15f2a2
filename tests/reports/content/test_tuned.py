"""What reports say of tuning: what it took, what it brought, and whom it left out."""

from dataclasses import replace

from paretune.profiles.precision import Precision
from paretune.reports.content.search_story import story
from paretune.reports.content.tuned import not_tuned, tuned_text, tunings_text
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import (
    EVALUATION,
    Evaluation,
    Finalist,
    Outcome,
    Quantity,
    StageRecord,
    StudyRecord,
    TrialRecord,
)
from paretune.search.record.tuned import Tuned

CANDIDATE = Candidate(backend="slow", precision=Precision.FP32)
TUNED = Tuned(
    seconds=570.0, facts={"trials": 240, "tasks": 12, "tasks_known": 3}, untuned_ms=Quantity(value=4.0)
)
COMPLETE = Evaluation(
    candidate=CANDIDATE,
    outcome=Outcome.COMPLETE,
    metrics={"latency_ms": Quantity(value=0.5)},
    stages=(StageRecord(name="tune", key="k", cached=False, seconds=500.0),),
    tuning=TUNED,
)
LEFT = Evaluation(candidate=replace(CANDIDATE, student=(("width", 1),)), outcome=Outcome.GATED, reason="no")
MEASURED = replace(LEFT, gate={"latency_ms": Quantity(value=9.0)})


def trial(number, evaluation):
    return TrialRecord(number=number, evaluation=evaluation, started=0.0, seconds=1.0)


def record(*evaluations, finalists=()):
    return StudyRecord(
        name="s",
        study_text="",
        workload="w",
        profile="host",
        quality="accuracy",
        objectives=(),
        limits=(),
        trials=tuple(trial(number, one) for number, one in enumerate(evaluations)),
        finalists=tuple(Finalist(number=number, metrics={}) for number in finalists),
    )


def test_what_it_took_and_brought_is_said_of_each_tuned_candidate():
    text = tuned_text(COMPLETE)
    assert all(part in text for part in ("9 min 30 s", "240 trials", "12 tasks", "3 of them", "8 times"))
    assert tuned_text(replace(COMPLETE, tuning=None)) == ""
    bare = tuned_text(replace(COMPLETE, tuning=Tuned(seconds=1.0, note="it hung")))
    assert "it hung" in bare
    assert "times as fast" not in bare


def test_a_study_tells_its_finalists_the_seconds_and_who_was_left_out():
    found = tunings_text(record(COMPLETE, COMPLETE, LEFT, MEASURED, finalists=(1,)))
    assert "2 candidates tuned" in found
    assert "16 min 40 s" in found
    assert "1 not tuned" in found
    assert "#1 (" in found
    assert "#0 (" not in found
    assert tunings_text(record(MEASURED)) == ""


def test_the_gate_counts_only_what_it_measured():
    said = dict(story(record(LEFT, LEFT, MEASURED)))
    assert [not_tuned(trial(0, one)) for one in (LEFT, MEASURED, COMPLETE)] == [True, False, False]
    assert "1 of 3" in said["gate"]


def test_it_is_read_back_as_it_was_and_older_records_have_none():
    plain = EVALUATION.dump_python(COMPLETE, mode="json")
    assert EVALUATION.validate_python(plain) == COMPLETE
    del plain["tuning"]
    assert EVALUATION.validate_python(plain).tuning is None
