"""How sharply latencies can be told apart, as reports and verdicts say it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from paretune.reports.content.timing import timing_facts
from paretune.search.ranking.noise import coarse_line
from paretune.search.record.evaluation import STUDY_RECORD, StudyRecord
from paretune.search.record.timing import Timing

QUIET = Timing(process_spread=0.0052, processes=5, told_apart=0.032, cores=(3,))
COARSE = Timing(process_spread=0.06, processes=5, told_apart=0.44, cores=())


def test_the_spread_between_processes_is_a_fact_of_the_report(study: StudyRecord) -> None:
    text = dict(timing_facts(replace(study, timing=QUIET)))
    assert "0.52 %" in text["two processes of one model"]
    assert "3.2 %" in text["latencies can be told apart"]
    assert "core 3" in text["measured on"]
    assert "core 3" not in dict(timing_facts(replace(study, timing=COARSE)))["measured on"]


def test_only_a_coarse_machine_is_worth_a_word_in_the_verdict(study: StudyRecord) -> None:
    assert coarse_line(replace(study, timing=QUIET)) == ""
    assert "44 %" in coarse_line(replace(study, timing=COARSE))


@pytest.mark.parametrize("timing", [None, QUIET])
def test_records_keep_it_and_older_ones_have_none(study: StudyRecord, timing: Timing | None) -> None:
    written = STUDY_RECORD.dump_python(replace(study, timing=timing), mode="json")
    assert STUDY_RECORD.validate_python(written).timing == timing
    del written["timing"]
    old = STUDY_RECORD.validate_python(written)
    assert timing_facts(old) == []
    assert coarse_line(old) == ""
