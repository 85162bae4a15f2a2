"""The replay of a table: the problem it makes, searches by the real driver, the command from end to end."""

import gzip
import itertools
import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from paretune.profiles.errors import UserError
from paretune.search.record.evaluation import Outcome
from paretune.search.record.protocols import TrainEverything

from benchmarks.replay.evaluator import SimulatedClock, TableEvaluator
from benchmarks.replay.runs import SAMPLERS, Settings, run_once
from benchmarks.replay.summary import quartiles, ratio, seconds_to, summary, trainings_to
from benchmarks.replay.table import load_problem, space_of

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = Settings(budget=15, train_seconds=600.0, measure_seconds=1.0)


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


@pytest.fixture
def problem(tmp_path):
    path = write_table(tmp_path / "table.csv")
    return load_problem(path, "top1", "latency_ms_slow", ("latency_ms_fast", "note"))


# -- the problem ------------------------------------------------------------------------------------


def test_columns_that_are_no_metrics_are_axes_and_percent_become_shares(problem):
    assert problem.axes == {
        "width": (4, 8, 12, 16, 24),
        "depth": (1, 2, 3, 4),
        "block": ("plain", "wide"),
    }
    assert len(problem.points) == 34
    accuracies = [accuracy for accuracy, _ in problem.points.values()]
    assert problem.reference == (pytest.approx(max(accuracies) - 0.2), problem.limit_ms)
    latencies = sorted(latency for _, latency in problem.points.values())
    assert problem.limit_ms == pytest.approx((latencies[16] + latencies[17]) / 2)


def test_the_share_grows_to_one_and_what_is_over_the_limit_adds_nothing(problem):
    everything = list(problem.points.values())
    shares = problem.share(everything)
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    over = [point for point in everything if point[1] > problem.limit_ms]
    assert over
    assert problem.share(over)[-1] == 0.0
    # One point is worth the rectangle between it and the reference.
    one = max(everything, key=lambda point: (point[1] < problem.limit_ms, point[0]))
    area = (one[0] - problem.reference[0]) * (problem.limit_ms - one[1])
    assert problem.share([one]) == [pytest.approx(area / problem.volume)]


def test_the_teacher_is_a_real_row_over_the_limit_that_no_sampler_can_choose(problem):
    accuracy, latency = problem.points[problem.teacher]
    assert latency == max(latency for _, latency in problem.points.values())
    assert latency > problem.limit_ms
    assert accuracy > problem.reference[0]
    space = space_of(problem)
    drawn = [space.draw(random.Random(seed)) for seed in range(50)]
    assert all(candidate.student for candidate in drawn)
    assert space.size == len(list(space.candidates())) == 41
    for candidate in list(space.candidates())[1:]:
        assert space.params(candidate) == dict(candidate.student)


def test_a_combination_that_is_not_in_the_table_is_refused(problem):
    clock = SimulatedClock()
    table = TableEvaluator(lambda asked: problem.row(asked, 600.0, 1.0), clock)
    asked = [c for c in space_of(problem).candidates() if c.student]
    outcomes = {c.student: table.evaluate(c, TrainEverything()) for c in asked}
    missing = [e for student, e in outcomes.items() if student not in problem.points]
    assert len(missing) == 6
    assert {(e.outcome, e.reason) for e in missing} == {(Outcome.REFUSED, "not in the table")}
    assert clock.now() == 34 * 602


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
    assert problem.axes == {
        "op_1_0": ("conv", "skip"),
        "op_2_0": ("conv", "none"),
        "op_2_1": ("conv", "skip"),
    }
    assert problem.points[(("op_1_0", "conv"), ("op_2_0", "none"), ("op_2_1", "skip"))] == (0.85, 4.0)
    path.write_text("arch,accuracy,ms\nresnet,0.9,1.0\n")
    with pytest.raises(UserError, match="cannot read this architecture"):
        load_problem(path, "accuracy", "ms", ("again",))


def test_a_table_with_nothing_to_find_is_refused(tmp_path):
    path = tmp_path / "flat.csv"
    path.write_text("w,acc,ms\n1,0.5,2\n2,0.8,2\n")
    with pytest.raises(UserError, match="all latencies are the same"):
        load_problem(path, "acc", "ms", ())


def test_rows_of_one_combination_are_averaged_and_those_without_a_figure_left_out(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("w,acc,ms\n1,0.5,1\n1,0.8,3\n2,0.8,4\n3,,5\n4,0.8,9\n")
    problem = load_problem(path, "acc", "ms", ())
    assert problem.points[(("w", 1),)] == (pytest.approx(0.65), 2.0)
    assert (("w", 3),) not in problem.points


# -- searches ---------------------------------------------------------------------------------------


def test_a_search_is_repeated_exactly_and_pays_for_every_training(problem):
    found = run_once(problem, "tpe", 3, SETTINGS)
    assert found == run_once(problem, "tpe", 3, SETTINGS)
    assert found != run_once(problem, "tpe", 4, SETTINGS)
    assert found["trainings"] == len(found["history"]) == 15
    seconds = [seconds for seconds, _ in found["history"]]
    assert seconds[0] == 603.0  # the teacher and one architecture, each measured as it is; one untrained
    assert [b - a for a, b in itertools.pairwise(seconds)] == [602.0] * 14
    shares = [share for _, share in found["history"]]
    assert shares == sorted(shares)


def test_behind_the_gate_nothing_over_the_limit_is_trained(problem):
    within = sum(latency <= problem.limit_ms for _, latency in problem.points.values())
    everything = Settings(budget=len(problem.points), train_seconds=600.0, measure_seconds=1.0)
    gated = run_once(problem, "tpe+gate", 0, everything)
    assert gated["measured"] == len(problem.points)
    assert gated["trainings"] <= within
    assert gated["share"] == pytest.approx(1.0, abs=0.02)
    assert gated["stopped"] == "every candidate of the space was evaluated"


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in ("tpe", "tpe+gate", "gp")])
def test_the_other_samplers_search_too(problem, sampler):
    found = run_once(problem, sampler, 0, SETTINGS)
    assert 0 < found["trainings"] <= 15
    assert 0 < found["share"] <= 1


@pytest.mark.slow
def test_the_gaussian_process_models_all_axes(problem):
    found = run_once(problem, "gp", 0, SETTINGS)
    assert found["trainings"] == 15
    assert found["history"] != run_once(problem, "random", 0, SETTINGS)["history"]


# -- the summary ------------------------------------------------------------------------------------


def run_of(shares, *, sampler="tpe", seed=0):
    history = [[600.0 * n, share] for n, share in enumerate(shares, start=1)]
    seconds = 600.0 * len(shares)
    names = {"device": "d", "sampler": sampler, "seed": seed, "measured": 9, "trials": 9}
    return {**names, "history": history, "seconds": seconds}


def test_what_was_not_reached_is_none_and_counts_as_more_than_any_number():
    run = run_of([0.2, 0.91, 0.94])
    assert (trainings_to(run, 0.9), trainings_to(run, 0.95)) == (2, None)
    assert (seconds_to(run, 0.9), seconds_to(run, 0.95)) == (1200.0, None)
    assert quartiles([1.0, math.inf, 3.0, 2.0]) == (1.75, 2.5, math.inf)
    assert quartiles([math.inf, 1.0]) == (math.inf, math.inf, math.inf)


def test_seeds_stand_in_order_and_curves_go_on_where_a_search_ended_early():
    runs = [run_of([0.5] * 4 + [0.9], seed=1), run_of([0.1, 0.2, 0.3], seed=0)]
    figures = summary(runs, 10)["d"]["tpe"]
    assert figures["trainings_to_90"] == [None, 5]
    assert figures["curve"]["trainings"] == [5, 10]
    assert figures["curve"]["median"] == [pytest.approx(0.6), pytest.approx(0.6)]
    assert figures["curve_seconds"]["seconds"][-1] == 3000.0
    assert figures["curve_seconds"]["q75"][-1] == pytest.approx(0.75)


def test_the_comparison_is_with_the_best_of_optunas_own():
    figures = {
        "random": {"trainings_to_90": [None, None]},
        "tpe": {"trainings_to_90": [60, 80]},
        "tpe+gate": {"trainings_to_90": [10, 10]},
        "hardware-first": {"trainings_to_90": [20, 30]},
    }
    assert ratio(figures, "trainings_to_90", 100) == (70 / 25, "tpe", False)
    figures.pop("tpe")
    assert ratio(figures, "trainings_to_90", 100) == (101 / 25, "random", True)
    figures["hardware-first"] = {"trainings_to_90": [None, 5]}
    assert ratio(figures, "trainings_to_90", 100) is None


# -- the command ------------------------------------------------------------------------------------


def replay(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.replay.run", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_the_command_writes_its_figures_and_goes_on_where_it_was_cut_off(tmp_path):
    table, out = write_table(tmp_path / "table.csv.gz"), tmp_path / "out" / "replay.json"
    command = ["--table", table, "--accuracy", "top1", "--ignore", "note", "--out", out, "--seeds", 2]
    command += ["--budget", 8, "--samplers", "random,tpe+gate"]
    done = replay(*command)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert {device: list(figures) for device, figures in found.items()} == {
        "slow": ["random", "tpe+gate"],
        "fast": ["random", "tpe+gate"],
    }
    for figures in (figures for device in found.values() for figures in device.values()):
        assert len(figures["trainings_to_90"]) == len(figures["measured"]) == 2
        assert all(n is None or 1 <= n <= 8 for n in figures["trainings_to_90"])
    assert "Unique trainings to 90% of the true hypervolume" in done.stdout
    assert "0 of 8 runs are kept" in done.stderr

    parts = out.with_name("replay.json.parts")
    parts.write_text(parts.read_text()[:-40])  # a kill in the middle of a line
    again = replay(*command, "--jobs", 1, "--fresh", "random")
    assert "8 runs are kept" in again.stderr
    assert json.loads(out.read_text()) == found
    assert again.stderr.count(" random seed ") == 4
    assert again.stderr.count(" tpe+gate seed ") <= 1
    assert "8 of 8 runs are kept" in replay(*command).stderr


def test_a_column_that_is_not_there_and_a_sampler_that_is_none_are_told(tmp_path):
    table = write_table(tmp_path / "table.csv")
    wrong = replay("--table", table, "--accuracy", "top5", "--out", tmp_path / "o.json")
    assert wrong.returncode == 1
    assert "no column top5" in wrong.stderr
    assert "top1" in wrong.stderr
    wrong = replay(
        "--table", table, "--accuracy", "top1", "--samplers", "magic", "--out", tmp_path / "o.json"
    )
    assert wrong.returncode == 1
    assert "no such sampler" in wrong.stderr
    assert "tpe+gate" in wrong.stderr
