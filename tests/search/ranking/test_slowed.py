"""Devices that were slowed down while something was measured: in which words, for whom, and what to do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from paretune.profiles.precision import Precision
from paretune.profiles.watched import CLOCK, COUNT, FLAG, REFERENCE, Slowdown, Watched
from paretune.reports.content.watched import watched_facts, watched_text
from paretune.search.ranking.slowed import slowdown_text, slowed_line, slowed_warnings, watched_of
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import (
    EVALUATION,
    Evaluation,
    Finalist,
    Outcome,
    StudyRecord,
    TrialRecord,
)
from paretune.search.record.plausible import doubt

HOT = Slowdown(first_round=12, known_by=FLAG, cause="soft temperature limit", slower=0.234)
SEEN = Watched(
    readings=27,
    governor="ondemand",
    clock_mhz=(1500.0, 2400.0),
    temperature_c=(51.0, 85.2),
    slowed=("soft temperature limit",),
    slowdown=HOT,
)
QUIET = Watched(readings=11, governor="ondemand", clock_mhz=(2400.0, 2400.0), slowed=())
UNSEEN = Watched(readings=11)


def record(*seen: Watched | None, finalists: tuple[Watched | None, ...] = ()) -> StudyRecord:
    candidate = Candidate(backend="toy", precision=Precision.FP32)
    trials = tuple(
        TrialRecord(
            number=number,
            evaluation=Evaluation(candidate=candidate, outcome=Outcome.COMPLETE, watched=one),
            started=0.0,
            seconds=1.0,
        )
        for number, one in enumerate(seen)
    )
    made = tuple(Finalist(number=number, metrics={}, watched=one) for number, one in enumerate(finalists))
    return StudyRecord(
        name="s", study_text="", workload="w", profile="p", quality="accuracy", objectives=(), limits=(),
        trials=trials, finalists=made,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("found", "parts"),
    [
        (HOT, ["throttled", "round 12 on", "soft temperature limit", "23 %"]),
        (Slowdown(first_round=1, known_by=COUNT), ["throttled", "all rounds"]),
        (Slowdown(first_round=3, last_round=3, known_by=CLOCK, cause="heat"), ["round 3 ", "heat"]),
        (Slowdown(first_round=3, last_round=9, known_by=CLOCK), ["rounds 3 to 9"]),
        (Slowdown(first_round=4, known_by=REFERENCE, slower=0.2), ["slower", "round 4 on", "20 %"]),
        (Slowdown(first_round=4, known_by="of a later version"), ["round 4 on"]),
    ],
)
def test_the_words(found: Slowdown, parts: list[str]) -> None:
    assert all(part in slowdown_text(found) for part in parts), slowdown_text(found)


def test_the_numbers_that_count_are_those_of_the_finalist() -> None:
    both = record(QUIET, None, finalists=(SEEN,))
    assert watched_of(both, 0) == SEEN
    assert "round 12" in slowed_line(both, 0)
    assert slowed_line(record(QUIET, finalists=(None,)), 0) == ""
    assert slowed_line(both, 99) == ""


def test_who_is_warned_of() -> None:
    assert slowed_warnings(record(SEEN, QUIET), 1) == (), "neither a finalist nor recommended"
    (line,) = slowed_warnings(record(SEEN, QUIET), 0)
    assert "#0" in line
    (line,) = slowed_warnings(record(None, None, finalists=(SEEN, SEEN)), 0)
    assert "#0, #1" in line, "measured together, warned of together"
    assert slowed_warnings(record(None), None) == ()


def test_rows_of_a_report() -> None:
    rows = dict(watched_facts(record(QUIET, SEEN, None)))
    assert rows["clock while measured"] == "1500 to 2400 MHz"
    assert rows["temperature while measured"] == "51 to 85 °C"
    assert "#1" in rows["throttled while measured"]
    assert dict(watched_facts(record(QUIET)))["throttled while measured"] == "no"
    assert list(dict(watched_facts(record(UNSEEN)))) == ["throttled while measured"]
    assert watched_facts(record(None)) == []
    assert watched_text(UNSEEN) == ""
    assert "85" in watched_text(SEEN)


def test_it_survives_in_the_record_and_old_records_have_none() -> None:
    kept = record(SEEN).trials[0].evaluation
    plain = EVALUATION.dump_python(kept, mode="json")
    assert EVALUATION.validate_python(plain) == kept
    del plain["watched"]
    assert EVALUATION.validate_python(plain) == replace(kept, watched=None)
    assert doubt(kept) == ""
