"""What reports say of a study whose device was not there, on the made study with its latencies estimated."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from paretune.reports.bundle.to_measure import TO_MEASURE, to_measure_line
from paretune.reports.content.both_in_words import device_names
from paretune.reports.content.estimated import banner, estimates, intervals, rules
from paretune.reports.pages.page import html_page, markdown_report
from paretune.reports.pages.table import trial_table
from paretune.reports.pages.write import report_json
from paretune.search.ranking.ranking import RULES
from paretune.search.ranking.reading import read
from paretune.search.record.estimated import Brought, Estimated


def as_estimate(quantity):
    low, high = quantity.value / 2, quantity.value * 2
    return replace(
        quantity, low=low, high=high, provenance="estimated", how="roofline by layer", by_sample=None
    )


@pytest.fixture
def away(study):
    """The made study, as if nobody had reached its device, with one artifact timed."""

    def estimated(metrics):
        return {n: as_estimate(q) if n.startswith("latency") else q for n, q in metrics.items()}

    trials = tuple(
        replace(
            trial,
            evaluation=replace(
                trial.evaluation,
                metrics=estimated(trial.evaluation.metrics),
                gate=estimated(trial.evaluation.gate),
            ),
        )
        for trial in study.trials
    )
    complete = [t for t in trials if t.evaluation.artifact_key and t.evaluation.metrics]
    one, other = complete[0].evaluation, complete[1]
    before = as_estimate(one.metrics["latency_ms"])
    timed = Brought(
        candidate=one.candidate,
        artifact=one.artifact_key,
        metrics={"latency_ms": 9 * before.value},
        estimate=before,
    )
    known = Estimated(
        device="A board",
        basis=("Kernels are known.",),
        brought=(timed,),
        before={one.candidate.digest: before},
        to_measure=(other.number,),
    )
    finalists = tuple(
        replace(f, metrics=estimated(f.metrics), ratio_to_baseline=None) for f in study.finalists
    )
    return replace(study, trials=trials, finalists=finalists, timing=None, estimated=known)


def test_a_measured_study_has_none_of_it(study):
    assert estimates(study) is None
    assert banner(study) == ""
    assert rules(study) == RULES


def test_it_tells_what_was_timed_and_what_to_time(away):
    shown = estimates(away)
    assert shown is not None
    assert [row.inside for row in shown.timed] == [False]
    assert [row.number for row in shown.to_time] == list(away.estimated.to_measure)
    assert any("0 of 1" in sentence for sentence in shown.sentences)
    assert "90 %" in intervals(away)


def test_pages_are_reports_of_estimates(away):
    reading = read(away)
    page, text = html_page(reading), markdown_report(reading)
    for shown in (page, text):
        assert "Estimates for a device that was not there" in shown
        assert "What the estimates rest on" in shown
        assert "measured again" not in shown
        assert "beyond measurement error" not in shown
    assert '"error_x"' in page


def test_tables_and_json_say_where_each_number_comes_from(away):
    table, plain = trial_table(read(away)), json.loads(report_json(read(away)))
    assert set(table["latency_ms_provenance"].dropna()) == {"estimated"}
    assert plain["record"]["estimated"]["device"] == "A board"


def test_two_fronts_name_the_device_that_was_not_there(study, away):
    assert [name.endswith("(estimated)") for name in device_names(study, replace(away, profile="x"))] == [
        False,
        True,
    ]


def test_a_folder_that_cannot_be_written_is_said_and_stops_nothing(away, tmp_path):
    (tmp_path / TO_MEASURE).write_text("mine")
    assert "something else stands" in to_measure_line(away, tmp_path, "paretune run study.yaml")
    assert (tmp_path / TO_MEASURE).read_text() == "mine"
    assert to_measure_line(replace(away, estimated=None), tmp_path, "") == ""
