"""What the pages show: rows, tiles, sections, figures; computed from the made study."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from paretune.profiles import words
from paretune.reports.charts import hypervolume, plots
from paretune.reports.content import alike, sections, views
from paretune.reports.content.columns import columns
from paretune.reports.pages.table import trial_table
from paretune.reports.terminal.choose import choice_text
from paretune.search.ranking.ranking import rank
from paretune.search.ranking.reading import read
from paretune.search.record.evaluation import Masked, Outcome, Quantity, StudyRecord


@pytest.fixture(scope="module")
def table(study: StudyRecord) -> tuple[views.Row, ...]:
    return views.rows(read(study))


def test_every_trial_has_one_row_and_ranked_ones_come_first(
    study: StudyRecord, table: tuple[views.Row, ...]
) -> None:
    assert sorted(row.number for row in table) == [trial.number for trial in study.trials]
    assert [row.place for row in table] == list(range(1, len(table) + 1))
    ranked = [bool(row.rank) for row in table]
    assert ranked == sorted(ranked, reverse=True)
    assert views.outcome_counts(table) == {
        "complete": 47, "gated": 2, "refused": 4, "failed": 5, "repeated": 2,
    }  # fmt: skip


def test_ties_share_a_rank_with_an_equals_sign(table: tuple[views.Row, ...]) -> None:
    rows = {row.number: row for row in table}
    assert rows[33].rank == rows[57].rank == "3="
    assert rows[8].rank == "1"


def test_tags_say_what_a_row_is(study: StudyRecord, table: tuple[views.Row, ...]) -> None:
    rows = {row.number: row for row in table}
    best = read(study).verdict.recommended
    assert best == 8
    assert rows[8].tags == ("recommended", "front", "finalist")
    assert rows[8].recommended
    assert "strongest simple choice" in rows[4].tags
    assert rows[0].tags == ("simple choice", "the teacher")
    assert rows[0].reason == "over: latency <= 0.42 ms"
    assert rows[58].reason == "same as #20"


def test_cells_carry_interval_raw_value_and_origin(study: StudyRecord, table: tuple[views.Row, ...]) -> None:
    row = next(row for row in table if row.number == 8)
    shown = dict(zip([column.metric for column in columns(study)], row.cells, strict=False))
    assert shown["accuracy"].text.endswith(" %")
    assert " to " in shown["accuracy"].interval
    assert "test samples" in shown["accuracy"].note
    assert shown["latency_ms"].value == pytest.approx(0.1895, rel=1e-3)
    assert shown["latency_ms"].text == "190 µs"
    assert shown["size_bytes"].interval == ""
    assert row.cells[-1].note == "per-round latency ratio to trial 4, 40 rounds"


def test_gated_rows_show_what_was_measured_with_untrained_weights(table: tuple[views.Row, ...]) -> None:
    row = next(row for row in table if row.outcome == "gated")
    assert row.cells[0].text == views.DASH
    assert row.cells[1].text == views.DASH
    assert row.cells[2].note.startswith("with untrained weights")
    assert row.reason.startswith("latency <= 0.42 ms")


def test_tiles_state_speed_size_and_quality(study: StudyRecord) -> None:
    speed, size, quality = views.tiles(read(study))
    assert (speed.label, size.label, quality.label) == ("faster", "smaller", "accuracy")
    assert speed.figure == f"1.75{views.TIMES}"
    assert speed.detail == "95 % interval 1.74 to 1.77"
    assert "pt against the simple choice" in quality.detail


def test_tiles_of_the_nearest_state_each_limit(impossible: StudyRecord) -> None:
    accuracy, latency = views.tiles(read(impossible))
    assert accuracy.figure == "98.70 %"
    assert accuracy.detail.startswith("misses 'accuracy >= teacher - 3 pt absolute' by ")
    assert accuracy.detail.endswith(" pt")
    assert latency.detail.startswith("misses 'latency <= 0.42 ms' by ")


def test_estimated_numbers_are_called_so(study: StudyRecord) -> None:
    macs = study.trials[0].evaluation.metrics["macs"]
    assert views.cell("macs", macs).note == "estimated: counted from the graph"


def test_problems_are_grouped_up_to_their_numbers(study: StudyRecord) -> None:
    groups = sections.problems(study)
    assert [(g.outcome, len(g.cases)) for g in groups] == [("failed", 5), ("gated", 2), ("refused", 4)]
    gated = groups[1]
    assert gated.reason == "latency <= 0.42 ms: measured 0.438 to 0.541 ms with untrained weights"
    assert len({case.reason for case in gated.cases}) == 2
    assert "MemoryError" in groups[0].cases[0].log


def test_sentences_that_differ_in_numbers_are_told_as_one() -> None:
    gated = [
        "Latency is 33.4 µs, the limit is 'latency <= 25 % of teacher'; Size is 1.15 MB",
        "Latency is 2.1 ms, the limit is 'latency <= 25 % of teacher'; Size is 578 kB",
        "Latency is 42.1 µs, the limit is 'latency <= 25 % of teacher'; Size is 1.15 MB",
    ]
    assert len({alike.pattern(text) for text in gated}) == 1
    told = (
        "Latency is 33.4 µs to 2.1 ms, the limit is 'latency <= 25 % of teacher'; Size is 578 kB to 1.15 MB"
    )
    assert alike.merged(gated) == told
    assert alike.merged(["killed by signal 11", "killed by signal 6"]) == "killed by signal 6 to 11"
    assert alike.merged(["took -3.5e-05 s"]) == "took -3.5e-05 s"
    assert alike.pattern("int8 on sm_80") != alike.pattern("int4 on sm_80")


def test_a_limit_relative_to_the_teacher_says_what_it_came_to(study: StudyRecord) -> None:
    relative, plain = study.limits
    assert views.limit_text(relative) == f"{relative.text} (that is 95.00 %, 94.70 % on the test split)"
    assert views.limit_text(plain) == "latency <= 0.42 ms"


def test_the_teacher_and_the_counters_are_in_words(study: StudyRecord) -> None:
    record = replace(
        study,
        teacher={"macs": 9519626, "quality": {"validation": 0.9972}, "output_shape": [10]},
        counters={"space": 168, "trainings_used": 13, "training_seconds": 45.7},
    )
    assert sections.teacher(record) == [
        ("multiply-adds", "9.52 M"), ("output shape", "10"), ("accuracy on validation", "99.72 %"),
    ]  # fmt: skip
    assert sections.counters(record) == [
        ("combinations in the space", "168"), ("different trainings used", "13"), ("training time", "45.7 s"),
    ]  # fmt: skip
    assert sections.facts({"load_average": [2.62158203125, 3.0]}) == [("load average", "2.62158, 3")]


def test_masked_combinations_are_joined_by_reason(study: StudyRecord) -> None:
    more = (
        *study.masked,
        Masked(backend="ort", what="fp8", reason="2:4 sparsity: needs NVIDIA sm_80 or later"),
    )
    groups = sections.masked(replace(study, masked=more))
    assert [(g.backend, g.what) for g in groups] == [("trt", "everything"), ("ort", "2:4, fp8")]


def test_importances_are_sorted(study: StudyRecord) -> None:
    shares = sections.importances(study)["Accuracy"]
    assert [share.axis for share in shares] == ["student", "precision", "sparsity", "backend"]


def test_origins_count_every_way_to_a_number(study: StudyRecord) -> None:
    found = {(o.metric, o.provenance, o.how): o.count for o in sections.origins(study)}
    assert found["Multiply-adds", "estimated", "counted from the graph"] == 49
    assert found["Accuracy", "measured", "900 test samples through the artifact (finalists)"] == len(
        study.finalists
    )


def test_facts_flatten_and_carry_units() -> None:
    values = {
        "memory_bytes": 8e9,
        "packages": {"numpy": "2.4"},
        "flags": ["a", "b"],
        "empty": "",
        "load_ms": 0.5,
    }
    assert sections.facts(values) == [
        ("memory", "8 GB"), ("packages: numpy", "2.4"), ("flags", "a, b"), ("load", "500 µs"),
    ]  # fmt: skip
    assert sections.facts({"training_seconds": 196.0}) == [("training time", "3 min 16 s")]
    assert words.duration(7325) == "2 h 2 min"


def test_front_figure_has_every_complete_candidate_once(study: StudyRecord) -> None:
    figure = plots.front_figure(read(study))
    assert figure is not None
    drawn = [number for trace in figure["data"] for number in trace.get("customdata", [])]
    assert sorted(drawn) == sorted(e.number for e in rank(study).entries)
    assert figure["layout"]["xaxis"]["type"] == "log"
    assert figure["layout"]["xaxis"]["title"]["text"] == "Latency (lower is better)"
    assert all(tick.endswith(("s", "µs", "ms")) for tick in figure["layout"]["xaxis"]["ticktext"])
    texts = [a["text"] for a in figure["layout"]["annotations"]]
    assert "#8 recommended" in texts
    assert "#4 strongest simple choice" in texts
    assert len(figure["layout"]["shapes"]) == 2


def test_area_colour_and_symbol_encode_size_backend_and_precision(study: StudyRecord) -> None:
    figure = plots.front_figure(read(study))
    assert figure is not None
    points = [trace for trace in figure["data"] if trace.get("customdata")]
    int8 = {t["name"]: t for t in points if t["name"].endswith(" int8")}
    assert {t["marker"]["symbol"] for t in int8.values()} == {"diamond"}
    assert int8["ort int8"]["meta"] != int8["tflite int8"]["meta"]
    sizes = {n: d for t in points for n, d in zip(t["customdata"], t["marker"]["size"], strict=True)}
    measured = {n: study.trials[n].evaluation.metrics["size_bytes"].value for n in sizes}
    big = [n for n, diameter in sizes.items() if diameter > 10]
    a, b = max(big, key=lambda n: measured[n]), min(big, key=lambda n: measured[n])
    assert (sizes[a] / sizes[b]) ** 2 == pytest.approx(measured[a] / measured[b], rel=0.05)


def test_hover_shows_the_whole_configuration(study: StudyRecord) -> None:
    text = plots.hover_text(study, rank(study).entries[0])
    for part in (
        "#8",
        "depth=3 width=0.75",
        "int16x8",
        "tflite",
        "12 epochs",
        "Accuracy:",
        "Latency:",
        "Size:",
    ):
        assert part in text


def test_hypervolume_grows_with_training_time(study: StudyRecord) -> None:
    steps = hypervolume.hypervolume_steps(study)
    assert len(steps) == len(study.trials)
    assert all(a[0] <= b[0] and a[1] <= b[1] for a, b in itertools.pairwise(steps))
    assert 0 < steps[-1][1] <= 1
    spent = sum(
        s.seconds for t in study.trials if t.duplicate_of is None
        for s in t.evaluation.stages if s.name == "distill" and not s.cached
    )  # fmt: skip
    assert steps[-1][0] == pytest.approx(spent)


def test_without_training_the_time_is_that_of_evaluating(study: StudyRecord) -> None:
    plain = replace(
        study, trials=tuple(replace(t, evaluation=replace(t.evaluation, stages=())) for t in study.trials)
    )
    figure = hypervolume.hypervolume_figure(plain)
    assert figure is not None
    assert figure["layout"]["xaxis"]["title"]["text"] == "Evaluation time (min)"
    assert hypervolume.hypervolume_steps(plain)[-1][0] == pytest.approx(sum(t.seconds for t in plain.trials))


def test_a_study_without_a_complete_trial_has_no_figures(study: StudyRecord) -> None:
    failed = tuple(t for t in study.trials if t.evaluation.outcome is Outcome.FAILED)
    empty = replace(study, trials=failed, finalists=(), baseline=None)
    assert plots.front_figure(read(empty)) is None
    assert hypervolume.hypervolume_figure(empty) is None
    assert views.tiles(read(empty)) == ()


def test_colours_of_known_backends_never_change() -> None:
    assert plots.colours(["tflite"])["tflite"] == plots.colours(["ort", "tflite", "trt"])["tflite"]
    many = plots.colours([f"b{i}" for i in range(9)])
    assert len(many) == 9
    assert len({plots.colours([f"b{i}" for i in range(5)])[f"b{i}"] for i in range(5)}) == 5


def test_a_metric_where_less_is_better_turns_the_arrow(study: StudyRecord) -> None:
    lower = tuple(replace(o, higher_is_better=False) for o in study.objectives)
    assert columns(replace(study, objectives=lower))[0].higher_is_better is False
    assert columns(study)[0].higher_is_better is True


def test_validation_and_test_have_a_column_each_with_the_teacher_in_both(study: StudyRecord) -> None:
    on_test = Quantity(value=0.981, low=0.97, high=0.99)
    scored = replace(study, reference_on_test=on_test)
    table = {row.number: row for row in views.rows(read(scored))}
    assert [column.split for column in columns(scored)[:2]] == ["validation", "test"]
    finalist = next(f for f in scored.finalists if f.number == 8)
    assert table[8].cells[0].value == scored.trials[8].evaluation.metrics["accuracy"].value
    assert table[8].cells[1].value == finalist.metrics["accuracy"].value
    assert [cell.value for cell in table[0].cells[:2]] == [
        scored.trials[0].evaluation.metrics["accuracy"].value,
        on_test.value,
    ]
    others = set(table) - {0} - {finalist.number for finalist in scored.finalists}
    assert {table[number].cells[1].text for number in others} == {views.DASH}
    csv = trial_table(read(scored)).set_index("trial")
    assert csv.loc[0, "test_accuracy"] == on_test.value
    assert csv.loc[8, "accuracy"] == table[8].cells[0].value
    chosen = choice_text(read(scored))
    assert "on validation" in chosen
    assert "on test" in chosen


def test_before_anything_is_scored_on_test_there_is_no_column_for_it(study: StudyRecord) -> None:
    assert [column.split for column in columns(replace(study, finalists=()))[:2]] == ["validation", ""]
