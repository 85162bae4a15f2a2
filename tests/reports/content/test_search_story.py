"""How the search went: trainings, curves and their sentences, with numbers worked out by hand."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from paretune.profiles import words
from paretune.profiles.precision import Precision
from paretune.reports.charts import curves, hypervolume
from paretune.reports.content import search_story, sections, views
from paretune.reports.pages.explain import explain
from paretune.reports.pages.page import html_page, markdown_report
from paretune.reports.pages.table import trial_table
from paretune.reports.pages.write import report_json, write_report
from paretune.search.ranking.reading import read
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.evaluation import (
    STUDY_RECORD,
    Audited,
    Bound,
    Evaluation,
    Objective,
    Outcome,
    Proposal,
    Quantity,
    StageRecord,
    StudyRecord,
    TrialRecord,
)

RECIPE = Recipe(epochs=12, finetune_epochs=4)


def candidate(width: float | None, sparsity: str = "dense", precision: str = "fp32") -> Candidate:
    student = () if width is None else (("width", width),)
    return Candidate(
        backend="ort", precision=Precision(precision), student=student, sparsity=sparsity, recipe=RECIPE
    )


def stage(kind: str, key: str, seconds: float | None, *points: tuple[int, float]) -> StageRecord:
    """`seconds` None: from the store."""
    return StageRecord(name=kind, key=key, cached=seconds is None, seconds=seconds or 0.0, curve=points)


def complete(which: Candidate, quality: float, *stages: StageRecord, latency: float = 1.0) -> Evaluation:
    metrics = {"accuracy": Quantity(value=quality), "latency_ms": Quantity(value=latency)}
    return Evaluation(candidate=which, outcome=Outcome.COMPLETE, metrics=metrics, stages=stages)


def gated(
    which: Candidate, *stages: StageRecord, bound: Bound | None = None, epoch: int = 0, **more: object
) -> Evaluation:
    made = Evaluation(candidate=which, outcome=Outcome.GATED, stages=stages, bound=bound, reason="too slow")
    return replace(made, stopped_epoch=epoch, **more)


def costs(seconds: float) -> Proposal:
    return Proposal(by="gain", seconds=seconds)


def record_of(evaluations: Sequence[Evaluation]) -> StudyRecord:
    trials = tuple(
        TrialRecord(number=n, evaluation=evaluation, started=0.0, seconds=30.0)
        for n, evaluation in enumerate(evaluations)
    )
    objectives = (
        Objective(metric="accuracy", higher_is_better=True),
        Objective(metric="latency_ms", higher_is_better=False),
    )
    return StudyRecord(
        name="small", study_text="", workload="w.py", profile="host", quality="accuracy",
        objectives=objectives, limits=(), trials=trials,
    )  # fmt: skip


BEATEN = Bound(value=0.9, basis="#1 has 89 %, 1 pt margin", beaten_by=1)
SHORT = Bound(value=0.6, basis="a larger student has 59 %")


@pytest.fixture(scope="module")
def small() -> StudyRecord:
    """Two sizes trained, one pruned, others turned away; 0.9 turned away first and trained later."""
    return record_of(
        [
            complete(candidate(None), 0.98, latency=4.0),
            complete(candidate(0.5), 0.95, stage("distill", "d50", 10.0), latency=2.0),
            complete(candidate(0.75), 0.96, stage("distill", "d75", 20.0), latency=3.0),
            complete(
                candidate(0.5, "channel:0.3"), 0.94, stage("distill", "d50", None), stage("prune", "p50", 4.0)
            ),
            gated(candidate(0.25)),
            gated(candidate(0.25, precision="int8"), bound=BEATEN, proposal=costs(12.0)),
            gated(candidate(0.25, "channel:0.3"), bound=BEATEN, proposal=costs(19.0)),
            gated(candidate(0.5, precision="int8")),
            gated(candidate(0.3), stage("distill", "d30", 5.0, (2, 0.4), (4, 0.5)), bound=BEATEN, epoch=4),
            gated(candidate(0.9), bound=SHORT),
            complete(candidate(0.9), 0.97, stage("distill", "d90", 15.0), latency=3.5),
        ]
    )


def predicted(value: float, half: float) -> Proposal:
    return Proposal(by="gain", quality=Quantity(value=value, low=value - half, high=value + half))


@pytest.fixture(scope="module")
def foretold() -> StudyRecord:
    found = [
        (0.80, 0.05, 0.82),
        (0.70, 0.05, 0.78),
        (0.85, 0.05, 0.86),
        (0.60, 0.1, 0.60),
        (0.75, 0.06, 0.80),
    ]
    made = [complete(candidate(None), 0.9)]
    for index, (value, half, quality) in enumerate(found, start=1):
        own = complete(candidate(index / 10), quality, stage("distill", f"d{index}", 1.0))
        made.append(replace(own, proposal=predicted(value, half)))
    return record_of(made)


def test_an_interval_without_end_does_not_break_the_page(foretold: StudyRecord) -> None:
    first, second, *rest = [trial.evaluation for trial in foretold.trials]
    record = record_of([first, replace(second, proposal=predicted(0.8, float("inf"))), *rest])
    figures = re.search(r'id="figures">(.*?)</script>', html_page(read(record)))
    assert figures is not None
    assert "Infinity" not in figures[1]
    assert "NaN" not in figures[1]
    assert explain(read(record), 1)


def test_sampler_audit_and_end_in_sentences(searched: StudyRecord) -> None:
    told = dict(search_story.story(searched))
    spent = [s for a in searched.audit for s in a.evaluation.stages if s.name == "distill" and not s.cached]
    assert told["audit"].endswith(
        f" It took {words.duration(sum(s.seconds for s in spent))} of training." if spent else "front."
    )
    assert told["ended because"] == searched.stopped


def curve_record() -> StudyRecord:
    whole = ((3, 0.5), (12, 0.8))
    return record_of(
        [
            complete(candidate(0.5), 0.8, stage("distill", "a", 9.0, *whole)),
            complete(candidate(0.5, precision="int8"), 0.79, stage("distill", "a", None, *whole)),
            gated(
                candidate(0.5, "channel:0.3"),
                stage("distill", "a", None, *whole), stage("prune", "p", 1.0, (1, 0.6)),
                bound=BEATEN, epoch=1,
            ),
        ]
    )  # fmt: skip


def test_curves_have_each_training_once_over_the_share_of_its_epochs() -> None:
    distilled, pruned = curves.learning_curves(curve_record())
    assert (distilled.number, distilled.points, distilled.stopped) == (0, ((0.25, 0.5), (1.0, 0.8)), False)
    assert (pruned.number, pruned.points, pruned.stopped) == (2, ((0.25, 0.6),), True)
    figure = curves.curves_figure(curve_record())
    assert figure is not None
    assert [trace["name"] for trace in figure["data"]] == ["distilled", "pruned, stopped"]
    assert figure["data"][0]["x"] == [0.25, 1.0, None]
    assert figure["data"][1]["hovertext"][0] == "width=0.5, channel:0.3 (#2)<br>25 %: 60.00 %"
    alone = replace(curve_record(), trials=curve_record().trials[:2])
    assert curves.curves_figure(alone) is None


def test_the_hypervolume_is_drawn_over_the_time_of_training(small: StudyRecord) -> None:
    figure = hypervolume.hypervolume_figure(small)
    assert figure is not None
    (line,) = figure["data"]
    assert line["x"] == [0, 10, 30, 34, 34, 34, 34, 34, 39, 39, 54]
    assert line["customdata"][3] == "#3, 3 trainings"


@pytest.mark.parametrize(
    ("on_front", "told"), [(True, "would have been on the front, so the gate was wrong"),
                           (False, "would not have been on the front, so the gate was right")]
)  # fmt: skip
def test_explain_tells_what_an_audit_found(small: StudyRecord, on_front: bool, told: str) -> None:
    after = Audited(number=5, evaluation=complete(candidate(0.25), 0.91), on_front=on_front)
    text = explain(read(replace(small, audit=(after,))), 5)
    assert f"To check the gate it was trained after all and came to 91.00 %: it {told}." in text
    failed = Evaluation(candidate=candidate(0.25), outcome=Outcome.FAILED, stage="distill", cause="crash")
    text = explain(read(replace(small, audit=(Audited(number=5, evaluation=failed, on_front=False),))), 5)
    assert "that ended failed." in text
    assert "Accuracy could be 60.00 % at best (a larger student has 59 %), which misses a limit" in explain(
        read(small), 9
    )


def test_reasons_that_name_different_relatives_are_one_group(small: StudyRecord) -> None:
    trials = list(small.trials)
    for number in (5, 6):
        evaluation = replace(trials[number].evaluation, reason=f"even at 90 % (#{number} has 89 %), #1 wins")
        trials[number] = replace(trials[number], evaluation=evaluation)
    groups = sections.problems(replace(small, trials=tuple(trials)))
    assert (sections.DOMINATED, 2) in [(g.reason, len(g.cases)) for g in groups]


def test_what_was_paused_for_want_of_time_is_told_apart() -> None:
    cut = stage("distill", "d30", 5.0, (2, 0.4))
    whole = complete(candidate(None), 0.98, latency=4.0), complete(candidate(0.5), 0.9, latency=2.0)
    paused = [gated(candidate(w), cut, epoch=2, paused=True, late=w < 0.3) for w in (0.2, 0.4)]
    record = record_of([*whole, *paused])
    assert [len(group.cases) for group in sections.problems(record)] == [1, 1]
    assert "2 stand where they were, after 10 s in all, 1 of them for want of time" in str(
        search_story.story(record)
    )
    table = trial_table(read(record)).set_index("trial")
    assert list(table.index[table["paused_for_time"].notna()]) == [2]


def test_the_table_has_what_the_search_thought(searched: StudyRecord, study: StudyRecord) -> None:
    table = pd.read_csv(io.StringIO(trial_table(read(searched)).to_csv(index=False))).set_index("trial")
    number = next(t.number for t in searched.trials if t.evaluation.proposal and t.evaluation.proposal.gain)
    proposal = searched.trials[number].evaluation.proposal
    assert proposal is not None
    assert proposal.quality is not None
    row = table.loc[number]
    assert row["proposed_by"] == "gain"
    assert row["predicted_accuracy"] == pytest.approx(proposal.quality.value)
    assert row["predicted_accuracy_low"] == pytest.approx(proposal.quality.low)
    assert row["expected_gain"] == pytest.approx(proposal.gain)
    assert row["expected_seconds"] == pytest.approx(proposal.seconds)
    stopped = table[table["stopped_epoch"].notna()]
    assert set(stopped["outcome"]) == {"gated"}
    assert set(stopped["beaten_by"]) == {4}
    assert set(stopped["bound_accuracy"]) == {0.93}
    assert list(table["audit_on_front"].dropna()) == [False, False]
    assert not {"proposed_by", "stopped_epoch", "beaten_by"} & set(trial_table(read(study)).columns)


def test_the_quality_cell_says_what_was_predicted(searched: StudyRecord) -> None:
    rows = views.rows(read(searched))
    notes = [row.cells[0].note for row in rows if row.outcome == "complete"]
    foretold = [
        t.evaluation for t in searched.trials if t.evaluation.proposal and t.evaluation.proposal.quality
    ]
    assert sum("predicted for validation: " in note for note in notes) == sum(
        evaluation.outcome is Outcome.COMPLETE for evaluation in foretold
    )


def test_what_the_search_says_is_escaped(searched: StudyRecord) -> None:
    evil = "<script>alert(1)</script>"
    dirty = read(replace(searched, remarks=(evil,), sampler=evil, stopped=evil))
    assert evil not in html_page(dirty)
    assert evil not in markdown_report(dirty)


def test_a_study_without_these_fields_has_a_page_as_before(study: StudyRecord) -> None:
    page = html_page(read(replace(study, sampler="tpe")))
    assert 'id="plot-hypervolume"' in page
    assert 'id="plot-curves"' not in page
    assert search_story.story(replace(study, sampler="tpe"))[0] == ("sampler", "tpe")


OBJECTIVES = ("accuracy", "latency_ms", "size_bytes", "memory_bytes")


@pytest.mark.parametrize("names", [OBJECTIVES[:2], OBJECTIVES[1:3], OBJECTIVES[1:], OBJECTIVES])
def test_any_objectives_have_a_report(searched: StudyRecord, tmp_path: Path, names: tuple[str, ...]) -> None:
    objectives = tuple(Objective(metric=name, higher_is_better=name == "accuracy") for name in names)
    record = replace(searched, objectives=objectives)
    page = write_report(read(record), tmp_path).html.read_text()
    assert 'id="plot-hypervolume"' in page
    for trial in record.trials[:10]:
        assert explain(read(record), trial.number)


def test_the_record_survives_as_json(searched: StudyRecord) -> None:
    assert STUDY_RECORD.validate_python(json.loads(report_json(read(searched)))["record"]) == searched
