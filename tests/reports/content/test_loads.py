"""Throughput in a report, its figure, explain and the answer's sentences."""

from dataclasses import replace

import pytest
from paretune.reports.charts.loads import loads_figure
from paretune.reports.content.loads import loads_section, throughput_section
from paretune.reports.content.views import DASH
from paretune.reports.pages.explain import explain
from paretune.reports.pages.page import markdown_report
from paretune.search.ranking.loads import load_line
from paretune.search.ranking.misses import nearest_misses
from paretune.search.ranking.ranking import rank
from paretune.search.ranking.reading import read
from paretune.search.record.deployed import Deployed
from paretune.search.record.evaluation import Limit, Objective, Quantity
from paretune.search.record.load import Held, LoadCurve, LoadPoint, NoClaim

P99 = Limit(text="latency_p99 <= 40 ms", metric="latency_p99_ms", upper=True, bound=40.0)
RATE = Limit(text="throughput >= 50 /s", metric="throughput_per_s", upper=False, bound=50.0)
PREDICTED = Quantity(value=110.0, low=100.0, high=120.0, provenance="derived", how="derived")


def point(rate, ms, held):
    return LoadPoint(
        offered_per_s=rate,
        achieved_per_s=rate,
        p50_ms=ms / 4,
        p90_ms=ms / 2,
        p99_ms=ms if held is not Held.UNSURE else None,
        limited_ms=Quantity(value=ms, low=0.9 * ms, high=1.1 * ms),
        requests=5_000,
        independent=900,
        held=held,
    )


SHOWN = LoadCurve(
    limits=(P99.text,),
    most_ms=40.0,
    points=(point(50.0, 12.0, Held.YES), point(100.0, 33.0, Held.YES), point(130.0, 90.0, Held.NO)),
    predicted=PREDICTED,
    claimed=Quantity(value=100.0, low=100.0, high=120.0),
    capacity_per_s=160.0,
    allowed_s=30.0,
    seconds=29.0,
)
FEW = replace(SHOWN, points=(), claimed=None, no_claim=NoClaim.TOO_FEW, needed_s=3600.0, seconds=0.0)


def loaded_study(study, *, limits=(P99, RATE)):
    """The study, about throughput: its first two finalists were put under load, trials have a prediction."""
    first, second, *others = study.finalists
    first, second = (
        replace(one, deployed=Deployed(load=load), metrics={**one.metrics, "throughput_per_s": quantity})
        for one, load, quantity in ((first, SHOWN, SHOWN.claimed), (second, FEW, PREDICTED))
    )
    trials = tuple(_predicted(trial) for trial in study.trials)
    objective = Objective(metric="throughput_per_s", higher_is_better=True)
    objectives = (*study.objectives[:1], objective)
    return replace(
        study, trials=trials, finalists=(first, second, *others), limits=limits, objectives=objectives
    )


def _predicted(trial):
    latency = trial.evaluation.metrics.get("latency_ms")
    if latency is None:
        return trial
    rate = Quantity(value=10.0 / latency.value, low=9.5 / latency.value, high=10.5 / latency.value)
    metrics = {
        **trial.evaluation.metrics,
        "throughput_per_s": rate,
        "latency_p99_ms": Quantity(value=1.0),
    }
    return replace(trial, evaluation=replace(trial.evaluation, metrics=metrics))


def test_nothing_under_load_is_no_section(study):
    assert (throughput_section(read(study)), loads_section(read(study))) == (None, None)
    assert loads_figure(read(study)) is None


def test_a_section_tells_what_was_shown_what_is_too_much_and_why_nothing_is_claimed(study):
    reading = read(loaded_study(study))
    found = throughput_section(reading)
    first, second = (one.number for one in study.finalists[:2])
    by_number = {row.number: [cell.text for cell in row.cells] for row in found.rows}
    assert by_number[first] == ["100 /s", "100 /s", "130 /s", "160 /s", "110 /s"]
    assert by_number[second][:3] == ["110 /s", DASH, DASH]
    (why,) = found.lines
    assert why.startswith(f"#{second}:")
    assert "1 h" in why or "60 min" in why


def test_the_curve_has_a_line_for_each_finalist_and_one_for_the_limit(study):
    reading = read(loaded_study(study))
    figure = loads_figure(reading)
    (line,) = figure["data"]
    assert line["x"] == [50.0, 100.0, 130.0]
    assert line["y"] == [12.0, 33.0, 90.0]
    assert line["marker"]["symbol"] == ["circle", "circle", "x"]
    assert figure["layout"]["shapes"][0]["y0"] == 40.0
    rows = loads_section(reading).rows
    assert [row.cells[-1].text for row in rows] == ["yes", "yes", "no"]


def test_markdown_and_explain_have_the_figures(study):
    made = loaded_study(study)
    reading, first = read(made), made.finalists[0].number
    text = markdown_report(reading)
    assert "## Throughput" in text
    assert "## Response times under load" in text
    assert "33 ms at 100 /s" in explain(reading, first)


def test_more_is_better_on_the_front_and_in_misses(study):
    made = replace(loaded_study(study, limits=()), finalists=())
    ranking = rank(made)
    best = max(entry.metrics["throughput_per_s"].value for entry in ranking.entries)
    assert any(e.on_front and e.metrics["throughput_per_s"].value == best for e in ranking.entries)
    assert ranking.ideal["throughput_per_s"] == pytest.approx(best)
    far = replace(RATE, text=f"throughput >= {2 * best:.0f} /s", bound=2 * best)
    (relaxed,) = nearest_misses(made, [far]).alone
    assert relaxed.changes[0].bound <= best


def test_the_answer_says_under_which_limits_and_of_which_it_says_nothing(study):
    made = loaded_study(study)
    first, second = (one.number for one in made.finalists[:2])
    shown, predicted = (load_line(made, n, made.limits) for n in (first, second))
    assert P99.text in shown
    assert "shown in runs" in shown
    assert "not shown" in predicted
    tighter = replace(P99, text="latency_p99 <= 20 ms", bound=20.0)
    assert "says nothing of latency_p99 <= 20 ms" in load_line(made, first, (tighter, RATE))
    assert load_line(study, first, study.limits) == ""
