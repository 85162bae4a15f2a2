"""Page, JUnit XML, Markdown and JSON of a night."""

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from made_nights import a_night, made_history, made_regression, without_numbers
from paretune.reports.nights.junit import junit_xml
from paretune.reports.nights.page import night_page, trends
from paretune.reports.nights.shown import night_rows
from paretune.reports.nights.summary import night_json, summary_markdown
from paretune.search.nights.history import NightHistory
from paretune.search.nights.night import EXIT_CODES, NIGHT, NightStatus

NASTY = "<script>alert(1)</script> | `x` \x1b[31m \ud800 ]]> & \x00"


@pytest.fixture(scope="module")
def nights():
    return made_history()


@pytest.fixture(scope="module")
def regressed(nights):
    return made_regression(nights)


def test_each_check_is_a_test_case_and_counts_add_up(regressed):
    root = ElementTree.fromstring(junit_xml(regressed))
    cases = root.findall("testsuite/testcase")
    assert len(cases) == 1 + len(regressed.checks)
    kinds = [child.tag for case in cases for child in case if child.tag != "system-out"]
    assert sorted(kinds) == ["failure", "skipped", "skipped"]
    for place in (root, *root.findall("testsuite")):
        within = place.iter("testcase")
        assert int(place.get("tests")) == len(list(within))
    assert [root.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["7", "1", "0", "2"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (NightStatus.FAILED, "error"),
        (NightStatus.SKIPPED, "skipped"),
        (NightStatus.UNUSABLE, "failure"),
        (NightStatus.GOOD, None),
    ],
)
def test_a_night_without_checks_is_a_test_case_of_its_own(status, kind):
    root = ElementTree.fromstring(junit_xml(without_numbers(3, status, "why")))
    (case,) = root.iter("testcase")
    assert [child.tag for child in case if child.tag != "system-out"] == ([kind] if kind else [])


def test_the_summary_is_short_and_has_the_verdict_first(regressed, nights):
    text = summary_markdown(regressed, nights)
    assert text.startswith("### Regressed: latency")
    assert len(text) < 4000
    assert "1.27.0" in text
    assert "+12.4 %" in text


def test_what_users_and_devices_say_is_shown_as_text(nights):
    night = a_night(
        10, NightStatus.FAILED, headline=NASTY, reason=NASTY, log=NASTY, study=NASTY, remarks=(NASTY,)
    )
    page = night_page(night, nights, [NASTY])
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert "<script>" not in summary_markdown(night, nights)
    ElementTree.fromstring(junit_xml(night))
    assert json.loads(night_json(night))["status"] == "failed"


def test_trends_leave_nights_without_numbers_out_and_mark_what_changed(regressed, nights):
    figure = trends(regressed, nights)["latency_ms"]
    _, fine, wrong = figure["data"]
    assert fine["x"] == [1, 2, 3, 4, 6, 7, 9]
    assert wrong["x"] == [10]
    assert all(end > 0 for end in fine["error_y"]["array"])
    assert [mark["text"] for mark in figure["layout"]["annotations"]] == ["code", "versions"]


def test_the_first_night_has_no_trend_and_its_page_is_whole():
    first = a_night(1)
    assert trends(first, NightHistory()) == {}
    assert "</html>" in night_page(first, NightHistory())


def test_a_night_survives_as_json(regressed):
    assert NIGHT.validate_json(NIGHT.dump_json(regressed)) == regressed


def test_exit_codes_are_two_for_a_regression_and_for_nothing_else():
    assert [status for status, code in EXIT_CODES.items() if code == 2] == [NightStatus.REGRESSED]
    assert set(EXIT_CODES) == set(NightStatus)
    late = replace(without_numbers(3, NightStatus.SKIPPED, "off"), overdue=True)
    assert late.exit_code == 1


def test_nights_are_linked_where_they_have_a_page_and_no_others(nights):
    *before, last = nights.nights
    history = NightHistory(nights=tuple(before), pages=frozenset({2, last.number}))
    linked = {row.number: row.link for row in night_rows(last, history)}
    assert {number for number, link in linked.items() if link} == {2}
    assert linked[2].startswith("../night-0002/")
