"""The replay of a table: the problem it makes, searches by the real driver, the command from end to end."""

import argparse
import gzip
import json
import math
import random

import pytest
from paretune.profiles.errors import UserError
from paretune.search.record.evaluation import Outcome
from paretune.search.record.protocols import TrainEverything

from benchmarks.replay.curves import columns_of_curve
from benchmarks.replay.run import SAMPLERS, main, search, times_fewer
from benchmarks.replay.table import load_problem
from benchmarks.simulation.evaluator import TableEvaluator
from benchmarks.simulation.search import OURS
from benchmarks.simulation.summary import COLUMNS, SHARE

BUDGET = 15


def write_table(path):
    """Widths, depths and blocks; each seventh combination is missing. Accuracy in percent."""
    lines = ["width,depth,block,note,top1,latency_ms_slow,latency_ms_fast"]
    combinations = [(w, d, b) for w in (4, 8, 12, 16, 24) for d in (1, 2, 3, 4) for b in ("plain", "wide")]
    rng = random.Random(0)
    for index, (width, depth, block) in enumerate(combinations):
        work = width * depth * (2 if block == "wide" else 1)
        accuracy = 60 + 30 * (1 - math.exp(-work / 40)) + rng.uniform(-1, 1)
        if index % 7 != 3:
            slow, fast = 1 + work / 10, 0.5 + work / 50 + depth / 4
            lines.append(f"{width},{depth},{block},n{index},{accuracy:.3f},{slow},{fast}")
    text = "\n".join(lines) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


OTHERS = ("latency_ms_fast", "note")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_table(tmp_path_factory.mktemp("replay") / "table.csv")


@pytest.fixture(scope="module")
def problem(path):
    return load_problem(path, "top1", "latency_ms_slow", OTHERS)


@pytest.fixture(scope="module")
def points(problem):
    """Accuracy and latency by student, as far as the table has them."""
    found = {c.student: problem.true(c) for c in problem.space.candidates() if c.student}
    return {student: point for student, point in found.items() if point is not None}


@pytest.fixture
def searched(path):
    def run(sampler, seed, budget=BUDGET):
        table = {"path": path, "accuracy": "top1", "latency": "latency_ms_slow", "others": OTHERS}
        return search(strategy=sampler, seed=seed, budget=budget, **table)

    return run


@pytest.fixture(scope="module")
def curved(tmp_path_factory):
    """Accuracies after 2 and 5 of 10 epochs; who learns fast ends best. One was not looked at."""
    lines = ["width,depth,early,half,top1,latency_ms_slow"]
    for index in range(60):
        width, depth = 4 * (1 + index % 12), 1 + index // 12
        end = 92 - 20 * math.exp(-width * depth / 40) + 1.5 * math.sin(7.3 * index)
        early = "" if index == 17 else f"{end - 30 + 2 * (end - 85):.3f}"
        lines.append(f"{width},{depth},{early},{end - 8 + (end - 85):.3f},{end:.3f},{1 + width * depth / 10}")
    path = tmp_path_factory.mktemp("curves") / "table.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


CURVE = ((2, "early"), (5, "half"), (10, "top1"))


# -- the problem ------------------------------------------------------------------------------------


def test_columns_that_are_no_metrics_are_axes_and_percent_become_shares(problem, points):
    assert problem.space.student_axes == {
        "width": (4, 8, 12, 16, 24),
        "depth": (1, 2, 3, 4),
        "block": ("plain", "wide"),
    }
    assert len(points) == 34
    (limit,) = problem.limits
    assert problem.reference == (pytest.approx(max(p[0] for p in points.values()) - 0.2), limit.bound)
    latencies = sorted(latency for _, latency in points.values())
    assert limit.bound == pytest.approx((latencies[16] + latencies[17]) / 2)


def test_what_is_over_the_limit_is_worth_nothing_and_everything_is_worth_one(problem, points):
    everything, limit_ms = list(points.values()), problem.limits[0].bound
    assert problem.share(everything) == pytest.approx(1.0)
    assert problem.share([point for point in everything if point[1] > limit_ms]) == 0.0
    # One point is worth the rectangle between it and the reference.
    one = max(everything, key=lambda point: (point[1] < limit_ms, point[0]))
    area = (one[0] - problem.reference[0]) * (limit_ms - one[1])
    assert problem.share([one]) == pytest.approx(area / problem.volume)


def test_the_teacher_is_a_real_row_over_the_limit_that_no_sampler_can_choose(problem, points):
    space = problem.space
    accuracy, latency = problem.true(space.baselines()[0])
    assert latency == max(latency for _, latency in points.values()) > problem.limits[0].bound
    assert accuracy > problem.reference[0]
    drawn = [space.draw(random.Random(seed)) for seed in range(50)]
    assert all(candidate.student for candidate in drawn)
    assert space.size == len(list(space.candidates())) == 41
    for candidate in list(space.candidates())[1:]:
        assert space.params(candidate) == dict(candidate.student)


def test_a_combination_that_is_not_in_the_table_is_refused(problem, points):
    table = TableEvaluator(problem.row)
    asked = [c for c in problem.space.candidates() if c.student]
    outcomes = {c.student: table.evaluate(c, TrainEverything()) for c in asked}
    missing = [e for student, e in outcomes.items() if student not in points]
    assert len(missing) == 6
    assert {(e.outcome, e.reason) for e in missing} == {(Outcome.REFUSED, "not in the table")}
    assert table.now() == 34 * 602


def test_architectures_in_the_notation_of_nas_bench_201_have_one_axis_per_edge(tmp_path):
    path = tmp_path / "cells.csv"
    cells = [
        f"|{a}~0|+|{b}~0|{c}~1|,{acc},{ms}"
        for a, b, c, acc, ms in [
            ("conv", "conv", "skip", 0.9, 9.0),
            ("conv", "none", "skip", 0.85, 4.0),
            ("skip", "conv", "conv", 0.8, 3.0),
            ("skip", "none", "skip", 0.5, 1.0),
        ]
    ]
    path.write_text("\n".join(["arch,accuracy,ms", *cells]) + "\n")
    problem = load_problem(path, "accuracy", "ms", ())
    assert problem.space.student_axes == {
        "op_1_0": ("conv", "skip"),
        "op_2_0": ("conv", "none"),
        "op_2_1": ("conv", "skip"),
    }
    rows = {c.student: problem.true(c) for c in problem.space.candidates() if c.student}
    assert rows[(("op_1_0", "conv"), ("op_2_0", "none"), ("op_2_1", "skip"))] == (0.85, 4.0)
    path.write_text("arch,accuracy,ms\nresnet,0.9,1.0\n")
    with pytest.raises(UserError, match="cannot read this architecture"):
        load_problem(path, "accuracy", "ms", ("again",))


CELLS = {
    "|nor_conv_3x3~0|+|none~0|skip_connect~1|": (0.9, 9.0),
    "|none~0|+|nor_conv_3x3~0|nor_conv_1x1~1|": (0.89, 8.0),
    "|none~0|+|nor_conv_3x3~0|none~1|": (0.85, 4.0),
    "|avg_pool_3x3~0|+|nor_conv_3x3~0|none~1|": (0.86, 3.0),
    "|none~0|+|none~0|skip_connect~1|": (0.5, 1.0),
}


@pytest.fixture
def cells(tmp_path):
    path = tmp_path / "cells.csv"
    lines = [f"{arch},{acc},{ms}" for arch, (acc, ms) in CELLS.items()]
    path.write_text("\n".join(["arch,accuracy,ms", *lines]) + "\n")
    return path


def _rows(problem):
    """By accuracy."""
    rows = filter(None, (problem.row(c) for c in problem.space.candidates() if c.student))
    return {row.quality: row for row in rows}


def test_cells_tell_their_structure_and_which_compute_the_same(cells):
    told = {
        quality: row.untrained for quality, row in _rows(load_problem(cells, "accuracy", "ms", ())).items()
    }
    assert told[0.9].function == told[0.85].function == told[0.86].function
    assert told[0.9].structure == told[0.86].structure
    assert told[0.89].function != told[0.9].function  # what it adds is a learned constant
    assert told[0.9].structure["longest_path"] == told[0.9].structure["share_conv3"] == 1
    assert told[0.5].structure["paths"] == 0


def test_a_table_of_plain_axes_tells_no_structure(problem):
    assert not any(row.untrained or row.measured_with_it for row in _rows(problem).values())


def test_proxies_of_another_file_are_told_by_a_measurement(cells, tmp_path):
    file = tmp_path / "features.csv.gz"
    first, second, *_ = CELLS
    file.write_bytes(gzip.compress(f"arch,proxy_a,proxy_b\n{first},2.5,-1e8\n{second},nan,7\n".encode()))
    rows = _rows(load_problem(cells, "accuracy", "ms", (), file))
    assert [dict(row.measured_with_it.proxies) for row in rows.values() if row.measured_with_it] == [
        {"b": 7.0},
        {"a": 2.5},
    ]
    assert not any(row.untrained.proxies for row in rows.values())


def test_proxies_of_the_table_are_no_axes(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("w,acc,ms,proxy_z\n1,0.5,1,3\n1,0.8,3,5\n2,0.8,4,-1e8\n4,0.8,9,\n")
    problem = load_problem(path, "acc", "ms", ())
    assert list(problem.space.student_axes) == ["w"]
    told = {row.hardware["latency_ms"]: row.measured_with_it.proxies for row in _rows(problem).values()}
    assert problem.row(next(c for c in problem.space.candidates() if c.student)).measured_with_it.proxies == {
        "z": 4.0
    }
    assert told[9.0] == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cell,proxy_a\nx,1\n", "no column arch"),
        ("arch,a\nx,1\n", "no column proxy_"),
        ("arch,proxy_a\nx,1\n", "tells of no row"),
    ],
)
def test_a_file_of_proxies_that_do_not_belong_to_the_table_is_refused(cells, tmp_path, text, told):
    file = tmp_path / "features.csv"
    file.write_text(text)
    with pytest.raises(UserError, match=told):
        load_problem(cells, "accuracy", "ms", (), file)


def test_a_table_with_nothing_to_find_is_refused(tmp_path):
    path = tmp_path / "flat.csv"
    path.write_text("w,acc,ms\n1,0.5,2\n2,0.8,2\n")
    with pytest.raises(UserError, match="all latencies are the same"):
        load_problem(path, "acc", "ms", ())


def test_rows_of_one_combination_are_averaged_and_those_without_a_figure_left_out(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("w,acc,ms\n1,0.5,1\n1,0.8,3\n2,0.8,4\n3,,5\n4,0.8,9\n")
    problem = load_problem(path, "acc", "ms", ())
    rows = {dict(c.student)["w"]: problem.true(c) for c in problem.space.candidates() if c.student}
    assert rows == {1: (pytest.approx(0.65), 2.0), 2: (0.8, 4.0), 4: (0.8, 9.0)}


# -- searches ---------------------------------------------------------------------------------------


def test_a_search_is_repeated_exactly_and_pays_for_every_training(searched):
    found = searched("tpe", 3)
    assert found == searched("tpe", 3)
    assert found != searched("tpe", 4)
    assert (found["trainings"], found["training_seconds"]) == (BUDGET, 600.0 * BUDGET)
    trained, seconds, count, *_ = found["history"][0]
    # The teacher and one architecture, each measured as it is; one untrained.
    assert (trained, seconds, count) == (600.0 * count, 1.0 + 602.0 * count, count)
    shares = [moment[SHARE] for moment in found["history"]]
    assert shares == sorted(shares)
    assert found["share"] == pytest.approx(shares[-1], abs=1e-6)


def test_behind_the_gate_nothing_over_the_limit_is_trained(problem, points, searched):
    within = sum(latency <= problem.limits[0].bound for _, latency in points.values())
    gated = searched("tpe+gate", 0, budget=len(points))
    assert gated["measured"] == len(points)
    assert gated["trainings"] <= within
    assert gated["share"] == pytest.approx(1.0, abs=0.02)
    assert gated["stopped"] == "every candidate of the space was evaluated"


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in ("tpe", "tpe+gate", "gp")])
def test_the_other_samplers_search_too(searched, sampler):
    found = searched(sampler, 0)
    assert 0 < found["trainings"] <= BUDGET
    assert 0 < found["share"] <= 1


@pytest.mark.slow
def test_the_gaussian_process_models_all_axes(searched):
    found = searched("gp", 0)
    assert found["trainings"] == BUDGET
    assert found["history"] != searched("random", 0)["history"]


# -- figures and command ----------------------------------------------------------------------------


def test_the_comparison_is_with_the_best_of_optunas_own():
    figures = {
        "random": {"trainings_to_90": [None, None]},
        "tpe": {"trainings_to_90": [60, 80]},
        "tpe+gate": {"trainings_to_90": [10, 10]},
        "hardware-first": {"trainings_to_90": [20, 30]},
    }
    assert times_fewer(figures, "trainings_to_90", 100) == (70 / 25, "tpe", False)
    figures.pop("tpe")
    assert times_fewer(figures, "trainings_to_90", 100) == (101 / 25, "random", True)
    figures["hardware-first"] = {"trainings_to_90": [None, 5]}
    assert times_fewer(figures, "trainings_to_90", 100)[0] == 0


def test_the_command_writes_its_figures(tmp_path, capsys):
    table, out = write_table(tmp_path / "table.csv.gz"), tmp_path / "out" / "replay.json"
    features = tmp_path / "features.csv"
    features.write_text("width,depth,block,proxy_z\n4,1,plain,0.5\n8,2,wide,-1e8\n")
    command = ["--table", str(table), "--accuracy", "top1", "--ignore", "note", "--out", str(out)]
    command += ["--features", str(features)]
    small = ["--seeds", "2", "--budget", "8", "--samplers", "random,tpe+gate"]
    assert main([*command, *small]) == 0
    found = json.loads(out.read_text())
    assert found.pop("about")["environment"]["cores"] > 0
    assert {device: list(figures) for device, figures in found.items()} == {
        "slow": ["random", "tpe+gate"],
        "fast": ["random", "tpe+gate"],
    }
    for figures in (figures for device in found.values() for figures in device.values()):
        assert len(figures["trainings_to_90"]) == len(figures["measured"]) == 2
        assert all(n is None or 1 <= n <= 8 for n in figures["trainings_to_90"])
    assert "To 90% of the true hypervolume" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--accuracy", "top5"], ("no column top5", "top1")),
        (["--accuracy", "top1", "--samplers", "magic"], ("no such sampler", "tpe+gate")),
    ],
)
def test_a_column_that_is_not_there_and_a_sampler_that_is_none_are_told(
    path, tmp_path, capsys, options, told
):
    assert main(["--table", str(path), "--out", str(tmp_path / "o.json"), *options]) == 1
    said = capsys.readouterr().err
    assert all(part in said for part in told)


# -- learning curves ----------------------------------------------------------------------------------


def test_columns_after_several_epochs_are_the_milestones_of_a_training(curved):
    table = load_problem(curved, "top1", "latency_ms_slow", (), curve=CURVE)
    assert set(table.space.student_axes) == {"width", "depth"}
    trainings = list(table.trainings().values())
    assert {one.epochs for one in trainings} == {10}
    assert sorted({tuple(epoch for epoch, _ in one.curve) for one in trainings}) == [(2, 5, 10), (5, 10)]
    assert all(
        0 < value < 1 and one.curve[-1][1] == one.quality for one in trainings for _, value in one.curve
    )
    (plain, *_) = load_problem(curved, "top1", "latency_ms_slow", ("early", "half")).trainings().values()
    assert (plain.epochs, plain.curve) == (1, ())


def test_a_training_is_paused_at_a_milestone_and_epochs_count(curved):
    problem = {"path": curved, "accuracy": "top1", "latency": "latency_ms_slow", "others": (), "curve": CURVE}
    run = search(strategy=OURS, seed=1, budget=16, **problem)
    assert run["epochs"] < run["trainings"]  # some stand at a milestone
    assert 16 <= run["epochs"] < 17
    assert all(moment[COLUMNS["epochs"]] <= moment[COLUMNS["trainings"]] for moment in run["history"])


@pytest.mark.parametrize("text", ["12", "12:a", "50:a,12:b", "0:a,12:b", "12:,50:b", "x:a,12:b"])
def test_a_curve_is_epochs_and_columns_ascending(text):
    with pytest.raises(argparse.ArgumentTypeError):
        columns_of_curve(text)
    assert columns_of_curve("12:a, 200:b") == ((12, "a"), (200, "b"))
