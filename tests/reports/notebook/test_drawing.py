"""The front as a picture without a script, of studies of many kinds."""

from dataclasses import replace
from html import unescape
from xml.etree import ElementTree

import pytest
from paretune.reports.charts.plots import front_figure
from paretune.reports.notebook.drawing import svg
from paretune.reports.notebook.shown import front_html, run_html, verdict_html
from paretune.search.ranking.reading import read

SVG = "{http://www.w3.org/2000/svg}"


def drawn(record):
    reading = read(record)
    return front_figure(reading), ElementTree.fromstring(svg(front_figure(reading), record.quality))


def marks(tree):
    return [*tree.iter(f"{SVG}circle"), *tree.iter(f"{SVG}polygon")]


def texts(tree):
    return [element.text for element in tree.iter(f"{SVG}text")]


def test_every_point_of_the_reports_plot_is_in_it(study):
    figure, tree = drawn(study)
    points = sum(len(trace["x"]) for trace in figure["data"])  # those of the legend too
    assert len(marks(tree)) == points
    names = {trace["name"] for trace in figure["data"]}
    assert names <= set(texts(tree))
    assert {unescape(label["text"]) for label in figure["layout"]["annotations"]} <= set(texts(tree))


def test_everything_lies_on_the_paper(study, impossible, searched):
    for record in (study, impossible, searched):
        _, tree = drawn(record)
        wide, high = float(tree.get("width")), float(tree.get("height"))
        for circle in tree.iter(f"{SVG}circle"):
            assert 0 < float(circle.get("cx")) < wide
            assert 0 < float(circle.get("cy")) < high
        for text in tree.iter(f"{SVG}text"):
            assert 0 < float(text.get("x")) < wide
            assert 0 < float(text.get("y")) <= high


def only(record, count):
    kept = tuple(t for t in record.trials if t.evaluation.metrics)[:count]
    return replace(record, trials=kept, finalists=(), baseline=None)


@pytest.mark.parametrize("count", [1, 2])
def test_a_single_point_has_axes_too(study, count):
    figure, tree = drawn(only(study, count))
    assert sum(len(trace["x"]) for trace in figure["data"] if trace["x"] != [None]) == count
    assert any((text or "").endswith("%") for text in texts(tree))


def test_without_any_point_there_is_no_picture_and_still_an_answer(study):
    empty = replace(study, trials=(), finalists=(), baseline=None)
    shown = run_html(read(empty))
    assert "<img" not in shown
    assert "Nothing usable" in shown
    assert front_html(read(empty))


def test_what_users_wrote_is_text(study):
    wild = '<script>alert("x")</script>'
    record = replace(study, name=wild, workload=wild, profile=wild)
    first = record.trials[0]
    candidate = replace(first.evaluation.candidate, student=(("width", wild),))
    trial = replace(first, evaluation=replace(first.evaluation, candidate=candidate))
    reading = read(replace(record, trials=(trial, *record.trials[1:])))
    for shown in (run_html(reading), front_html(reading), verdict_html(reading.verdict)):
        assert "<script" not in shown
