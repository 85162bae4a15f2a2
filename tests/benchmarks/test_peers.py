"""The comparison with peers: the score that all share, what is read from them, the plain Optuna script."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks.peers import scoring, tools
from benchmarks.peers.digits_job import load_job, make_model, to_onnx
from benchmarks.peers.run import show
from benchmarks.peers.scoring import Box, Candidate

ROOT = Path(__file__).resolve().parents[2]


def box(tmp_path, accuracy=1.0):
    return Box(file=tmp_path / "teacher.onnx", accuracy=accuracy, size_bytes=1000)


def said(title, accuracy, latency_ms, size_bytes, file=Path("a.onnx")):
    """A candidate with the numbers that its tool gave."""
    return Candidate(
        title=title,
        backend="ort",
        file=file,
        accuracy=accuracy,
        latency_ms=latency_ms,
        size_bytes=size_bytes,
    )


# -- the score ---


def test_the_volume_is_a_share_of_the_box(tmp_path):
    assert box(tmp_path).volume([(1.0, 0.0, 0.0)]) == pytest.approx(1.0)
    assert box(tmp_path).volume([(0.975, 0.5, 0.5)]) == pytest.approx(0.5**3)
    assert box(tmp_path, accuracy=0.99).volume([(0.97, 0.25, 0.0)]) == pytest.approx(0.75 * 0.03 / 0.06)


def test_points_outside_the_box_add_nothing(tmp_path):
    outside = [(0.95, 0.1, 0.1), (1.0, 1.0, 0.1), (1.0, 0.1, 1.2)]
    assert box(tmp_path).volume(outside) == 0.0
    assert box(tmp_path).volume([]) == 0.0


def test_the_volume_of_two_points_counts_their_overlap_once(tmp_path):
    accurate, small = (1.0, 0.5, 0.5), (0.975, 0.0, 0.0)
    assert box(tmp_path).volume([accurate, small]) == pytest.approx(0.25 + 0.5 - 0.125)


def test_the_front_is_taken_on_the_tools_own_numbers():
    best, fast, beaten = (
        said("best", 0.99, 2.0, 500),
        said("fast", 0.97, 1.0, 500),
        said("no", 0.97, 1.5, 500),
    )
    again = said("the same numbers as best", 0.99, 2.0, 500)
    assert scoring.own_front([best, fast, beaten, again]) == [best, fast]
    assert scoring.own_front([]) == []


def test_the_interval_is_that_of_the_test_images(tmp_path):
    costs = [(0.1, 0.1), (0.05, 0.05)]
    right = [np.arange(360) >= 4, np.arange(360) >= 9]
    volume = box(tmp_path).volume([(float(r.mean()), *cost) for r, cost in zip(right, costs, strict=True)])
    low, high = scoring.volume_interval(box(tmp_path), right, costs, seed=0)
    assert low < volume < high
    # The first point decides almost alone: its errors are 4 of 360, a Poisson number of deviation 2.
    assert high - low == pytest.approx(2 * 1.96 * 2 / 360 / 0.05 * 0.81, rel=0.4)
    many = [np.tile(r, 16) for r in right]
    narrow = scoring.volume_interval(box(tmp_path), many, costs, seed=1)
    assert narrow[1] - narrow[0] == pytest.approx((high - low) / 4, rel=0.3)
    always = [np.ones(360, bool)]
    assert scoring.volume_interval(box(tmp_path), always, costs[:1], seed=0) == pytest.approx((0.81, 0.81))
    assert scoring.volume_interval(box(tmp_path), [], [], seed=0) == (0.0, 0.0)


def write_classifier(path, wrong=0):
    """Two classes told by the sign of the first pixel's neighbour; `wrong` turns the answer round."""
    weight = np.array([[1.0, -1.0]], np.float32) * (-1 if wrong else 1)
    nodes = [
        helper.make_node("Flatten", ["image"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["output"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 1, 1, 1])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 2])],
        [numpy_helper.from_array(weight, "w")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.slow
def test_artifacts_are_scored_by_what_they_answer_and_not_by_what_was_said_of_them(tmp_path):
    right = write_classifier(tmp_path / "right.onnx")
    wrong = write_classifier(tmp_path / "wrong.onnx", wrong=1)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no model")
    images = np.array([1.0, -1.0, 2.0, -2.0], np.float32).reshape(4, 1, 1, 1)
    labels = np.array([0, 1, 0, 1])
    teacher = Box(file=right, accuracy=1.0, size_bytes=2 * right.stat().st_size)
    claims = [said("right", 0.1, 9.0, 9, right), said("wrong", 1.0, 1e-6, 1, wrong)]
    found = scoring.score([*claims, said("broken", 1.0, 1e-6, 1, broken)], teacher, images, labels, seed=0)
    by_title = {point["title"]: point for point in found.points}
    assert by_title["right"]["test_accuracy"] == 1.0
    assert by_title["wrong"]["test_accuracy"] == 0.0
    assert by_title["right"]["size_ratio"] == pytest.approx(0.5)
    assert [failure.partition(":")[0] for failure in found.failures] == ["broken"]
    assert found.hypervolume == teacher.volume([(1.0, by_title["right"]["latency_ratio"], 0.5)])


def test_nothing_that_runs_scores_nothing(tmp_path):
    teacher = Box(file=write_classifier(tmp_path / "t.onnx"), accuracy=1.0, size_bytes=100)
    images, labels = np.ones((1, 1, 1, 1), np.float32), np.array([0])
    found = scoring.score(
        [said("gone", 1.0, 1.0, 1, tmp_path / "gone.onnx")], teacher, images, labels, seed=0
    )
    assert found.hypervolume == 0.0
    assert "gone" in found.failures[0]


# -- what is read from peers ---


def test_what_a_peer_finished_after_its_time_does_not_count(tmp_path):
    numbers = {"accuracy": 0.9, "latency_ms": 1.0, "size_bytes": 10}
    lines = [
        {"choice": {"model": "a"}, "file": "a.onnx", **numbers, "finished_s": 5.0},
        {"trained": "b", "training_seconds": 2.5, "finished_s": 8.0},
        {"choice": {"model": "b", "backend": "tflite"}, "file": "b.tflite", **numbers, "finished_s": 9.0},
        {"choice": {"model": "c"}, "error": "ValueError: no", "finished_s": 9.5},
        {"choice": {"model": "d"}, "file": "d.onnx", **numbers, "finished_s": 10.5},
    ]
    path = tmp_path / tools.LINES
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = tools.read_lines(path, 10.0)
    assert [candidate.file for candidate in found.candidates] == [tmp_path / "a.onnx", tmp_path / "b.tflite"]
    assert [candidate.backend for candidate in found.candidates] == ["ort", "tflite"]
    assert (found.trainings, found.training_seconds) == (1, 2.5)
    assert found.failures == ["model=c: ValueError: no"]


def test_a_tool_that_fails_leaves_its_last_words(tmp_path):
    code = "import sys; print('half way'); sys.exit('no such pass')"
    (failure,) = tools.run_tool([sys.executable, "-c", code], tmp_path, 60.0)
    assert failure.startswith("exit status 1")
    assert "half way" in failure
    assert "no such pass" in failure


@pytest.mark.slow
def test_a_tool_that_hangs_is_killed_and_said_so(tmp_path):
    code = "import time; print('searching', flush=True); time.sleep(600)"
    (failure,) = tools.run_tool([sys.executable, "-c", code], tmp_path, 3.0)
    assert failure.startswith("killed after 3 s")
    assert "searching" in failure


def test_the_table_has_a_line_per_tool(capsys):
    one = {
        "hypervolume": [0.5, 0.7, 0.6],
        "interval": [(0.4, 0.6), (0.5, 0.74), (0.5, 0.8)],
        "candidates": [4, 5, 6],
        "front": [1, 2, 3],
        "trainings": [2, 2, 2],
        "training_seconds": [10.0, 11.0, 12.0],
        "failures": [[], ["a"], ["b", "c"]],
    }
    show({"tools": {"ours": one, "olive": one}})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].split() == ["ours", "0.6000", "(0.5000-0.7000)", "+-0.1200", "5", "2", "2", "11", "3"]


# -- the plain script ---


@pytest.fixture
def teacher_weights(tmp_path):
    """An untrained teacher: enough to run everything."""
    from paretune.search.workload.loader import load_workload
    from safetensors.torch import save_model

    workload = load_workload("digits.py", ROOT / "examples").workload
    save_model(workload.teacher(), str(tmp_path / "teacher.safetensors"))
    return tmp_path / "teacher.safetensors"


@pytest.mark.slow
def test_a_pruned_model_of_the_peers_has_half_the_channels_and_can_be_exported(tmp_path, teacher_weights):
    job = load_job(ROOT / "examples" / "digits.py", teacher_weights)
    few = slice(0, 64)
    small = type(job)(**{**vars(job), **{n: getattr(job, n)[few] for n in ("images", "labels", "soft")}})
    model = make_model(small, 0.5, 1, pruned=True, seed=0)
    assert [model.features[i][0].out_channels for i in range(3)] == [8, 16, 24]
    to_onnx(model, tmp_path / "model.onnx")
    shape = onnx.load(tmp_path / "model.onnx").graph.input[0].type.tensor_type.shape
    assert [dim.dim_value for dim in shape.dim] == [1, 1, 8, 8]


@pytest.mark.slow
@pytest.mark.alone
def test_the_plain_script_searches_until_its_time_is_up(tmp_path, teacher_weights):
    into = tmp_path / "run"
    into.mkdir()
    command = [sys.executable, tools.HERE / "naive_optuna.py", "--workload", tools.EXAMPLES / "digits.py"]
    options = ["--teacher", teacher_weights, "--into", into, "--seconds", "4", "--seed", "0"]
    assert tools.run_tool([*command, *options], into, 200.0) == []
    found = tools.read_lines(into / tools.LINES, 1000.0)
    assert found.failures == []
    assert found.candidates
    for candidate in found.candidates:
        assert candidate.file.stat().st_size == candidate.size_bytes
        assert candidate.latency_ms > 0
        assert 0 <= candidate.accuracy <= 1
