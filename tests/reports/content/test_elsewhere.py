"""A device that computes wrongly stands in the first lines, in its section and in `explain`."""

from __future__ import annotations

from dataclasses import replace

import pytest
from paretune.profiles.precision import Precision
from paretune.profiles.quantity import Quantity
from paretune.reports.content.elsewhere import agreement_rows, differences, share_text
from paretune.reports.pages.explain import explain
from paretune.reports.pages.page import html_page, markdown_report
from paretune.reports.terminal.choose import verdict_text
from paretune.search.ranking.reading import read
from paretune.search.record.agreement import Agreement, ComputesWronglyError
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import (
    Evaluation,
    Finalist,
    Objective,
    Outcome,
    StudyRecord,
    TrialRecord,
)
from paretune.search.record.kept import read as read_back
from paretune.search.record.kept import storable, written

RIGHT = Agreement(
    agrees=True, output="y", samples=256, off=2e-7, allowed=1e-3, worst=4e-7, worst_allowed=2.5e-3, own=0.0,
    flipped=0, device="pi@board", here={"ai-edge-litert": "2.2.0"}, there={"ai-edge-litert": "2.3.0"},
)  # fmt: skip
WRONG = replace(RIGHT, agrees=False, off=1.28, own=0.017, flipped=200, why="128 % off over 256 samples")


def trial(number, precision, agreement, latency=1.0):
    candidate = Candidate(backend="tflite", precision=precision)
    known = Evaluation(candidate=candidate, outcome=Outcome.COMPLETE, baseline=True, agreement=agreement)
    if agreement.agrees:
        metrics = {"accuracy": Quantity(value=0.9), "latency_ms": Quantity(value=latency)}
        known = replace(known, metrics=metrics, artifact_key="0" * 64)
    else:
        cause = ComputesWronglyError(agreement).cause
        known = replace(known, outcome=Outcome.FAILED, stage="agree", cause=cause)
    return TrialRecord(number=number, evaluation=known, started=0.0, seconds=1.0)


@pytest.fixture
def record():
    return StudyRecord(
        name="s", study_text="", workload="w.py", profile="board", quality="accuracy",
        objectives=(
            Objective(metric="accuracy", higher_is_better=True),
            Objective(metric="latency_ms", higher_is_better=False),
        ),
        limits=(),
        trials=(
            trial(0, Precision.FP32, RIGHT, 2.0),
            trial(1, Precision.INT8, WRONG),
            trial(2, Precision.FP16, RIGHT, 1.0),
        ),
        stopped="enough",
        environment={"machine": "aarch64", "packages": {"ai-edge-litert": "2.3.0", "numpy": "2.1"}},
        host={"machine": "x86_64", "packages": {"ai-edge-litert": "2.2.0", "numpy": "2.1", "torch": "2.9"}},
    )  # fmt: skip


def test_the_first_lines_name_runtime_precision_versions_and_how_many(record):
    (line,) = read(record).verdict.warnings
    for word in ("pi@board", "tflite int8", "1 of 1", "2.3.0 there, 2.2.0 here", WRONG.why):
        assert word in line
    shown = (html_page(read(record)), markdown_report(read(record)), verdict_text(read(record).verdict))
    for page in shown:
        assert "tflite int8" in page.split("Candidates")[0]


def test_a_device_that_computes_rightly_is_no_warning(record):
    right = replace(record, trials=(record.trials[0], record.trials[2]))
    assert read(right).verdict.warnings == ()
    assert {row.said for row in agreement_rows(right)} == {"agrees"}


def test_each_artifact_has_a_row_and_its_numbers_in_explain(record):
    rows = agreement_rows(record)
    assert [(row.number, row.agrees) for row in rows] == [(1, False), (0, True), (2, True)]
    assert (rows[0].off, rows[0].allowed, rows[0].own, rows[0].flipped) == (
        "128 %",
        "0.1 %",
        "1.7 %",
        "200 of 256",
    )
    text = explain(read(record), 1)
    assert "ai-edge-litert: 2.3.0 on the device, 2.2.0 here" in text
    assert "The same file" not in explain(read(replace(record, trials=(local(record.trials[0]),))), 0)


def local(trial):
    return replace(trial, evaluation=replace(trial.evaluation, agreement=None))


def test_what_differs_stands_side_by_side(record):
    found = [(one.name, one.device, one.host) for one in differences(record)]
    assert found == [("machine", "aarch64", "x86_64"), ("ai-edge-litert", "2.3.0", "2.2.0")]
    assert "<td>2.3.0</td><td>2.2.0</td>" in html_page(read(record))
    assert "| ai-edge-litert | 2.3.0 | 2.2.0 |" in markdown_report(read(record))
    assert differences(replace(record, host={})) == ()


def test_a_finalist_of_which_the_device_computes_wrongly_by_now_is_not_recommended(record):
    assert read(record).verdict.recommended == 2
    failed = Finalist(number=2, metrics={}, failed="agree: it computes wrongly", agreement=WRONG)
    later = read(replace(record, unconfirmed=(failed,)))
    assert later.verdict.recommended == 0
    assert len(later.verdict.warnings) == 2
    crashed = replace(failed, agreement=None)
    assert read(replace(record, unconfirmed=(crashed,))).verdict.recommended == 2


def test_a_record_keeps_it(record):
    for one in record.trials:
        assert read_back(written(storable(one.evaluation)), 0) == one.evaluation


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0"), (1e-9, "below 0.0001 %"), (0.05, "5 %"), (1.284, "128 %")]
)
def test_shares_read_well(share, text):
    assert share_text(share) == text
