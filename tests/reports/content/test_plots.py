"""What the figures draw: one split, no point that squeezes the others, labels apart, time by stage."""

from __future__ import annotations

from dataclasses import replace

import pytest
from paretune.profiles.quantity import Quantity
from paretune.reports.charts import plots, stage_times
from paretune.reports.charts.axes import window
from paretune.reports.pages.page import html_page
from paretune.search.ranking.reading import read
from paretune.search.record.evaluation import Limit, StudyRecord


def points(record: StudyRecord) -> dict[int, tuple[float, float, str]]:
    """Trial -> where it is drawn, and as what."""
    figure = plots.front_figure(read(record))
    assert figure is not None
    found = {}
    for trace in figure["data"]:
        numbers = trace.get("customdata", [])
        symbols = trace["marker"]["symbol"]
        drawn = [symbols] * len(numbers) if isinstance(symbols, str) else symbols
        found |= {
            n: (x, y, symbol) for n, x, y, symbol in zip(numbers, trace["x"], trace["y"], drawn, strict=False)
        }
    return found


def with_accuracy(record: StudyRecord, number: int, value: float) -> StudyRecord:
    trials = list(record.trials)
    evaluation = trials[number].evaluation
    metrics = {**evaluation.metrics, "accuracy": Quantity(value=value)}
    trials[number] = replace(trials[number], evaluation=replace(evaluation, metrics=metrics))
    return replace(record, trials=tuple(trials))


def test_every_point_is_drawn_by_its_score_on_validation(study: StudyRecord) -> None:
    for number, (_, accuracy, _) in points(study).items():
        assert accuracy == study.trials[number].evaluation.metrics["accuracy"].value


def test_one_that_is_far_off_stands_at_the_edge_and_squeezes_nothing(study: StudyRecord) -> None:
    spoilt = with_accuracy(study, 0, 0.001)
    drawn = points(spoilt)
    assert drawn[0][2] == "triangle-down-open"
    assert drawn[0][1] == min(accuracy for _, accuracy, _ in drawn.values()) > 0.5
    figure = plots.front_figure(read(spoilt))
    assert figure is not None
    assert any("1 beyond" in label["text"] for label in figure["layout"]["annotations"])


def test_a_window_holds_what_is_wanted_and_three_spans_beside_it() -> None:
    shown = window([1.0, 1.2, 1.5, 2.9, 50.0], [1.0, 1.5], log=False)
    assert (shown.low, shown.high) == (1.0, 2.9)
    assert shown.beyond(50.0)
    assert not window([1.0, 50.0], [1.0], log=False).beyond(50.0)
    assert window([1.0, 2.0, 8.0, 1e6], [1.0, 2.0], log=True).high == 8.0


def test_the_two_labels_point_away_from_each_other(study: StudyRecord) -> None:
    figure = plots.front_figure(read(study))
    assert figure is not None
    marks = [label for label in figure["layout"]["annotations"] if label["showarrow"]]
    upper, lower = sorted(marks, key=lambda label: -label["y"])
    assert upper["ay"] < 0 < lower["ay"]


def test_time_by_stage_is_the_time_of_the_trials(study: StudyRecord) -> None:
    spent = stage_times.stage_seconds(study)
    own = [trial for trial in study.trials if trial.duplicate_of is None]
    made = sum(s.seconds for t in own for s in t.evaluation.stages if not s.cached)
    assert sum(spent.values()) - spent.get(stage_times.OTHER, 0.0) == pytest.approx(made)
    assert list(spent.values()) == sorted(spent.values(), reverse=True)
    figure = stage_times.stage_times_figure(study)
    assert figure is not None
    assert len(figure["data"][0]["x"]) == len(spent)
    assert stage_times.stage_times_figure(replace(study, trials=())) is None


def test_a_report_is_small(searched: StudyRecord) -> None:
    assert len(html_page(read(searched)).encode()) < 1.6e6


def test_a_limit_at_zero_is_drawn_where_an_axis_counts_in_tens(study: StudyRecord) -> None:
    limit = Limit(text="latency >= 0 ms", metric="latency_ms", upper=False, bound=0.0)
    assert points(replace(study, limits=(*study.limits, limit))).keys() == points(study).keys()
