"""Rank correlations of what untrained networks told, with numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from paretune.profiles.precision import Precision
from paretune.reports.content.search_story import story
from paretune.search.ranking.foretold import foretold
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.evaluation import (
    Evaluation,
    Objective,
    Outcome,
    Quantity,
    StudyRecord,
    TrialRecord,
)
from paretune.search.record.untrained import Untrained


def trial(width: int, quality: float, precision: str = "fp32", **proxies: float) -> TrialRecord:
    student = (("width", width),) if width else ()
    candidate = Candidate(
        backend="ort", precision=Precision(precision), student=student, recipe=Recipe(epochs=3)
    )
    evaluation = Evaluation(
        candidate=candidate,
        outcome=Outcome.COMPLETE,
        metrics={"accuracy": Quantity(value=quality)},
        untrained=Untrained(proxies=proxies),
    )
    return TrialRecord(number=width * 10 + len(precision), evaluation=evaluation, started=0.0, seconds=1.0)


def study(*trials: TrialRecord) -> StudyRecord:
    return StudyRecord(
        name="s",
        study_text="",
        workload="w",
        profile="host",
        quality="accuracy",
        objectives=(Objective(metric="accuracy", higher_is_better=True),),
        limits=(),
        trials=trials,
    )


QUALITIES = (0.90, 0.92, 0.94, 0.96, 0.98)
FIVE = tuple(trial(w, q, nwot=q, zen=-q, jacov=7.0, odd=float(w == 1)) for w, q in enumerate(QUALITIES, 1))
TEACHER = trial(0, 0.99, nwot=-5.0, zen=-5.0, jacov=5.0, odd=1.0)


def test_each_network_counts_once_with_its_best_quality():
    again = trial(1, 0.5, precision="int8", nwot=0.90, zen=-0.90, jacov=7.0, odd=1.0)
    found = foretold(study(TEACHER, *FIVE, again))
    assert found.students == 5
    assert found.proxies == pytest.approx({"nwot": 1.0, "zen": -1.0, "odd": -0.707}, abs=1e-3)
    assert found.together == pytest.approx(-0.707, abs=1e-3)  # nwot and zen cancel out
    assert dict(story(study(*FIVE)))["untrained networks"].startswith("what they told")


def test_nothing_is_said_of_few_students_or_of_networks_that_nobody_looked_at():
    assert foretold(study(*FIVE[:4], TEACHER)) is None
    blind = [replace(t, evaluation=replace(t.evaluation, untrained=Untrained())) for t in FIVE]
    assert foretold(study(*blind)) is None
    assert foretold(study(*(trial(w, 0.9, nwot=float(w)) for w in range(1, 7)))) is None  # all are alike
    assert foretold(study()) is None
    assert "untrained networks" not in dict(story(study(*blind)))
