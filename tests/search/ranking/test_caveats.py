"""What comes before an answer: how far the search has come, and distillation that harms."""

from __future__ import annotations

from dataclasses import replace

import pytest
from paretune.profiles.precision import Precision
from paretune.profiles.quantity import Quantity
from paretune.reports.content.views import badge
from paretune.reports.pages.page import html_page, markdown_report
from paretune.reports.terminal.choose import choice_text, verdict_text
from paretune.search.ranking.reading import read
from paretune.search.ranking.verdict import DO_NOTHING
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.evaluation import (
    Evaluation,
    Finalist,
    Objective,
    Outcome,
    StudyRecord,
    TrialRecord,
)
from paretune.search.record.stops import INTERRUPTED

ENDED = "every candidate of the space was evaluated"


def trial(number: int, latency: float, *, baseline: bool = False) -> TrialRecord:
    candidate = Candidate(
        backend="toy",
        precision=Precision.FP32,
        student=() if baseline else (("width", number),),
        recipe=None if baseline else Recipe(epochs=3),
    )
    metrics = {"accuracy": Quantity(value=0.9), "latency_ms": Quantity(value=latency)}
    evaluation = Evaluation(candidate=candidate, outcome=Outcome.COMPLETE, metrics=metrics, baseline=baseline)
    return TrialRecord(number=number, evaluation=evaluation, started=0.0, seconds=20.0)


@pytest.fixture
def record() -> StudyRecord:
    """Nothing is better than the simple choice."""
    return StudyRecord(
        name="s",
        study_text="",
        workload="w.py",
        profile="host",
        quality="accuracy",
        objectives=(
            Objective(metric="accuracy", higher_is_better=True),
            Objective(metric="latency_ms", higher_is_better=False),
        ),
        limits=(),
        trials=(trial(0, 1.0, baseline=True), trial(1, 2.0), trial(2, 3.0)),
        stopped=ENDED,
        budget_trials=40,
        budget_seconds=600.0,
    )


def every_form(record: StudyRecord) -> list[str]:
    reading = read(record)
    return [verdict_text(reading.verdict), choice_text(reading), markdown_report(reading), html_page(reading)]


@pytest.mark.parametrize("stopped", ["", INTERRUPTED])
def test_an_unfinished_study_says_first_how_far_it_has_come(record: StudyRecord, stopped: str) -> None:
    unfinished = replace(record, stopped=stopped)
    answer = read(unfinished).verdict
    assert all(part in answer.provisional for part in ("3 of 40 trials", "1 min of 10 min"))
    assert (answer.status, answer.exit_code) == (DO_NOTHING, 0)
    for text in every_form(unfinished):
        assert 0 <= text.index("3 of 40 trials") < text.index("as good as anything found")
    assert badge(answer)[1] == "provisional"
    assert "Do nothing" not in html_page(read(unfinished))


def test_a_finished_study_says_nothing_of_it(record: StudyRecord) -> None:
    answer = read(record).verdict
    assert (answer.provisional, answer.warnings) == ("", ())
    assert badge(answer) == ("Do nothing", DO_NOTHING)


def test_without_a_budget_the_trials_are_counted(record: StudyRecord) -> None:
    unlimited = replace(record, stopped="", budget_trials=None, budget_seconds=None)
    assert "3 trials" in read(unlimited).verdict.provisional


def with_gain(record: StudyRecord, gain: Quantity) -> StudyRecord:
    finalists = [
        Finalist(number=n, metrics=dict(record.trials[n].evaluation.metrics), distillation_gain=gain)
        for n in (1, 2)
    ]
    return replace(record, finalists=tuple(finalists))


def test_distillation_that_harms_is_said_with_the_answer(record: StudyRecord) -> None:
    harmed = with_gain(record, Quantity(value=-0.16, low=-0.2, high=-0.12, how="74 % against 90 %"))
    (warning,) = read(harmed).verdict.warnings
    assert all(part in warning for part in ("#1 and #2", "16 pt", "distill: {weight: [0]}"))
    told, chosen, markdown, html = every_form(harmed)
    assert "16 pt worse" in told.splitlines()[1]
    assert "16 pt worse" in chosen.splitlines()[1]
    assert markdown.index("16 pt worse") < markdown.index("## Candidates")
    assert html.index("16 pt worse") < html.index("h-table")


def test_a_difference_within_error_is_no_warning(record: StudyRecord) -> None:
    unsure = with_gain(record, Quantity(value=-0.01, low=-0.03, high=0.01, how="89 % against 90 %"))
    assert read(unsure).verdict.warnings == ()


def test_a_budget_that_ends_with_the_simple_choices_leaves_the_answer_open(record: StudyRecord) -> None:
    simple = (trial(0, 1.0, baseline=True), replace(trial(1, 2.0, baseline=True), seconds=1.0))
    used_up = replace(record, trials=simple, stopped="the budget of 2 trials is used up")
    answer = read(used_up).verdict
    assert "2 simple choices" in answer.provisional
    assert badge(answer)[1] == "provisional"
    assert not read(replace(used_up, stopped=ENDED)).verdict.provisional  # nothing else was there to try


def test_an_ended_search_says_how_much_it_looked_at(record: StudyRecord) -> None:
    assert any(
        "3 candidates (3 complete), 1 of them simple choices" in line for line in read(record).verdict.sure
    )
