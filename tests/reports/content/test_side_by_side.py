"""Two fronts side by side, on a made study and what it would be on another device."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from paretune.reports.charts.slopes import slopes_figure
from paretune.reports.content.both_in_words import sentences
from paretune.reports.content.side_by_side import BothRow, side_by_side
from paretune.reports.pages.page import html_page, markdown_report
from paretune.reports.pages.write import report_json
from paretune.search.ranking.reading import Reading, read
from paretune.search.record.evaluation import (
    Evaluation,
    Limit,
    Masked,
    Outcome,
    Quantity,
    StudyRecord,
    TrialRecord,
)

LIMIT = Limit(text="latency <= 4 ms", metric="latency_ms", upper=True, bound=4.0)
CRASH = "killed by signal 4 (illegal instruction)"


def times(quantity: Quantity, factor: float) -> Quantity:
    value = quantity.value * factor
    return replace(quantity, value=value, low=value * 0.99, high=value * 1.01)


def retargeted(study: StudyRecord) -> StudyRecord:
    """Nine times slower, tflite's int8 twice that; one crashes, one backend's fp16 is not offered, and what
    has a number divisible by seven was not tried."""
    trials: list[TrialRecord] = []
    for trial in study.trials:
        evaluation, candidate = trial.evaluation, trial.evaluation.candidate
        if not trial.ended(Outcome.COMPLETE) or (trial.number % 7 == 0 and trial.number):
            continue
        if (candidate.backend, str(candidate.precision)) == ("tflite", "fp16"):
            continue
        slow = candidate.backend == "tflite" and str(candidate.precision) == "int8"
        metrics = {
            name: times(quantity, 18.0 if slow else 9.0) if name.startswith("latency") else quantity
            for name, quantity in evaluation.metrics.items()
        }
        evaluation = replace(evaluation, metrics=metrics, stages=())
        if trial.number == 33:
            evaluation = Evaluation(candidate=candidate, outcome=Outcome.FAILED, stage="measure", cause=CRASH)
        trials.append(replace(trial, number=len(trials), evaluation=evaluation))
    masked = Masked(backend="tflite", what="fp16", reason="the board's delegate has no fp16")
    return replace(
        study, name=f"{study.name}-on-pi", profile="pi", trials=tuple(trials), retargets=study.name,
        limits=(study.limits[0], LIMIT), finalists=(), baseline=None, masked=(masked,),
    )  # fmt: skip


@pytest.fixture(scope="module")
def first(study: StudyRecord) -> Reading:
    return read(study)


@pytest.fixture(scope="module")
def other(study: StudyRecord) -> Reading:
    return read(retargeted(study))


def by_title(rows: tuple[BothRow, ...], title: str) -> BothRow:
    return next(row for row in rows if row.title == title)


def test_each_row_has_both_devices_numbers_and_nothing_is_left_out(first: Reading, other: Reading) -> None:
    both = side_by_side(first, other)
    assert both.devices == ("host", "pi")
    for reading, side in ((first, "first"), (other, "other")):
        on_front = {e.number for e in reading.ranking.entries if e.on_front}
        numbers = {getattr(row, side).number for row in both.rows}
        assert on_front <= numbers
        assert reading.verdict.recommended in numbers
        for row in both.rows:
            there = getattr(row, side)
            entry = reading.ranking.of(there.number) if there.number is not None else None
            if entry is None:
                assert not there.rank
                continue
            values = [entry.metrics[name].value for name in ("accuracy", "latency_ms", "size_bytes")]
            assert [cell.value for cell in there.cells] == values
            assert there.rank.rstrip("=") == str(entry.rank)


def test_what_did_not_come_to_an_end_there_says_why(first: Reading, other: Reading) -> None:
    rows = side_by_side(first, other).rows
    crashed = by_title(rows, first.record.trials[33].evaluation.candidate.title)
    assert (crashed.other.outcome, CRASH in crashed.other.reason) == ("failed", True)
    absent = [row.other for row in rows if row.other.number is None]
    assert {there.outcome for there in absent} <= {"not offered", "not evaluated"}
    assert all(
        there.outcome == "not offered"
        for row in rows
        if "fp16, tflite" in row.title
        for there in (row.other,)
    )


def test_places_are_those_of_each_devices_own_ranking(first: Reading, other: Reading) -> None:
    both = side_by_side(first, other)
    for reading, side in ((first, "first"), (other, "other")):
        placed = sorted(
            (getattr(row, side) for row in both.rows if getattr(row, side).place), key=lambda t: t.place
        )
        order = [entry.number for entry in reading.ranking.entries]
        assert [there.place for there in placed] == list(range(1, len(placed) + 1))
        assert [there.number for there in placed] == sorted(
            (there.number for there in placed), key=order.index
        )


def test_a_line_of_the_chart_goes_from_place_to_place(first: Reading, other: Reading) -> None:
    both = side_by_side(first, other)
    figure = slopes_figure(both)
    assert figure is not None
    ranked = [row for row in both.rows if row.first.place and row.other.place]
    count = len(ranked)
    for side in (0, 1):
        assert sorted(trace["y"][side] for trace in figure["data"]) == list(range(1, count + 1))
    assert len(figure["layout"]["annotations"]) == 2 * count
    assert slopes_figure(replace(both, rows=both.rows[:1])) is None


def test_the_same_front_carries_over_and_says_so(first: Reading) -> None:
    again = read(replace(first.record, profile="twin", name="twin"))
    said = sentences(first, again)
    assert "wins on both devices" in said[0]
    assert any("none changes places" in line for line in said)
    assert not any("Complete on" in line for line in said)


def test_a_winner_that_loses_there_is_told_with_its_loss(first: Reading, other: Reading) -> None:
    best = first.recommended
    assert best is not None
    candidate = first.record.trials[best.number].evaluation.candidate

    def slowed(trial: TrialRecord) -> TrialRecord:
        metrics = trial.evaluation.metrics
        slow = {name: times(q, 5.0) if name == "latency_ms" else q for name, q in metrics.items()}
        return replace(trial, evaluation=replace(trial.evaluation, metrics=slow))

    trials = [slowed(t) if t.evaluation.candidate == candidate else t for t in other.record.trials]
    changed = read(replace(other.record, trials=tuple(trials), limits=()))
    winner = changed.recommended
    assert winner is not None
    mine = next(t for t in trials if t.evaluation.candidate == candidate)
    theirs = next(t for t in trials if t.number == winner.number)
    ratio = mine.evaluation.metrics["latency_ms"].value / theirs.evaluation.metrics["latency_ms"].value
    line = next(line for line in sentences(first, changed) if line.startswith("What wins on host"))
    assert f"takes {100 * (ratio - 1):.2g} % longer" in line


def test_every_form_of_the_report_has_both(first: Reading, other: Reading) -> None:
    assert "On host and on pi" in html_page(other, first)
    assert "plot-slopes" in html_page(other, first)
    assert "plot-slopes" not in html_page(first)
    text = markdown_report(other, first)
    table = text.partition("## On host and on pi")[2].partition("\n## ")[0]
    widths = {line.count(" |") for line in table.splitlines() if line.startswith("|")}
    assert len(widths) == 1
    plain = json.loads(report_json(other, first))
    assert len(plain["side_by_side"]["rows"]) == len(side_by_side(first, other).rows)
    assert "side_by_side" not in json.loads(report_json(first))
