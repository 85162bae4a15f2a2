"""The comparison with peers: the score that all share, what is read from them, the plain Optuna script."""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune import Split
from paretune.profiles.errors import UserError
from paretune.search.job.job import load_job

from benchmarks.peers import bench, courses, peer_job, running, scoring, tools
from benchmarks.peers.bench import Bench
from benchmarks.peers.courses import Course
from benchmarks.peers.jobs import JOBS, Setup, set_up, study_of
from benchmarks.peers.run import SHARES, show
from benchmarks.peers.scoring import Box, Candidate, Point


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
    assert scoring.own_front([best, fast, beaten, again]) == [0, 1]
    assert scoring.own_front([]) == []


def point(wrong=0, costs=(0.1, 0.1), rows=360):
    latency_ratio, size_ratio = costs
    return Point(
        wrong=tuple(range(wrong)),
        rows=rows,
        latency_ms=1.0,
        latency_ratio=latency_ratio,
        size_ratio=size_ratio,
        verdict="stable",
    )


def course(box, *points, ends=None):
    """A run whose candidates ended one second after the other, none ahead of another on validation."""
    ends = ends or range(1, 1 + len(points))
    candidates = [
        replace(said(f"c{n}", 0.9 + n / 100, 1.0 + n, 10), finished_s=float(end))
        for n, end in enumerate(ends)
    ]
    return Course(box, candidates, dict(enumerate(points)))


def test_the_interval_is_that_of_the_test_images(tmp_path):
    few, more = (4, 9)
    one = course(box(tmp_path), point(few), point(more, (0.05, 0.05)))
    low, high = courses.volume_interval(one, courses.draws_of(360, seed=0))
    assert low < one.volume_at(9.0) < high
    # The first point decides almost alone: its errors are 4 of 360, a Poisson number of deviation 2.
    assert high - low == pytest.approx(2 * 1.96 * 2 / 360 / 0.05 * 0.81, rel=0.4)
    many = course(box(tmp_path), point(16 * few, rows=5760), point(16 * more, (0.05, 0.05), rows=5760))
    narrow = courses.volume_interval(many, courses.draws_of(5760, seed=1))
    assert narrow[1] - narrow[0] == pytest.approx((high - low) / 4, rel=0.3)
    always = course(box(tmp_path), point())
    assert courses.volume_interval(always, courses.draws_of(360, seed=0)) == pytest.approx((0.81, 0.81))
    assert courses.volume_interval(course(box(tmp_path)), courses.draws_of(360, seed=0)) == (0.0, 0.0)


def test_a_run_is_scored_at_every_moment_by_what_its_front_was_then(tmp_path):
    late = course(box(tmp_path), point(), point(9, (0.05, 0.05)), ends=[30.0, 10.0])
    assert late.volume_at(9.9) == 0.0
    assert late.volume_at(10.0) == pytest.approx(0.5 * 0.95**2)
    assert late.volume_at(30.0) > 0.81
    assert [seconds for seconds, _ in late.steps()] == [0.0, 10.0, 30.0]
    assert late.reached(0.4) == 10.0
    assert late.reached(0.81) == 30.0
    assert late.reached(0.99) is None


def test_what_a_front_lost_again_was_not_reached(tmp_path):
    """The second candidate beats the first by the tool's own numbers, and is worse on test."""
    candidates = [replace(said("good", 0.9, 1.0, 10), finished_s=1.0)]
    candidates += [replace(said("luck", 0.95, 1.0, 10), finished_s=2.0)]
    lost = Course(box(tmp_path), candidates, {0: point(), 1: point(9)})
    assert lost.volume_at(1.5) == pytest.approx(0.81)
    assert lost.reached(0.8) is None
    assert lost.reached(0.4) == 1.0
    assert courses.ever_on_front(candidates) == [0, 1]


def test_only_what_was_once_on_the_front_is_measured():
    ended = [(0.9, 30.0), (0.95, 10.0), (0.97, 20.0)]
    candidates = [replace(said("c", accuracy, 1.0, 10), finished_s=end) for accuracy, end in ended]
    assert courses.ever_on_front(candidates) == [1, 2]


def test_two_tools_are_compared_on_the_same_draws_of_the_test_images(tmp_path):
    """They fail on the same images but for two, so their difference is known far better than either."""
    ours, other = course(box(tmp_path), point(6)), course(box(tmp_path), point(8))
    draws = courses.draws_of(360, seed=0)
    found = courses.compared([ours], [other], 10.0, draws)
    (difference,) = found["difference"]
    assert difference == pytest.approx(0.81 * 2 / 360 / 0.05)
    low, high = found["interval"]
    assert 0.0 <= low < difference < high
    alone = courses.volume_interval(other, draws)
    assert high - low < 0.7 * (alone[1] - alone[0])
    assert found["share_of_time"] == [0.1]
    assert courses.compared([other], [ours], 10.0, draws)["share_of_time"] == [None]


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
    test = Split(inputs={"image": images}, labels=labels)
    found = scoring.score([*claims, said("broken", 1.0, 1e-6, 1, broken)], teacher, test, seed=0)
    assert found.points[0].accuracy == 1.0
    assert found.points[1].wrong == (0, 1, 2, 3)
    assert found.points[0].size_ratio == pytest.approx(0.5)
    assert list(found.failures) == [2]


def test_nothing_that_runs_scores_nothing(tmp_path):
    teacher = Box(file=write_classifier(tmp_path / "t.onnx"), accuracy=1.0, size_bytes=100)
    test = Split(inputs={"image": np.ones((1, 1, 1, 1), np.float32)}, labels=np.array([0]))
    gone = [said("gone", 1.0, 1.0, 1, tmp_path / "gone.onnx")]
    found = scoring.score(gone, teacher, test, seed=0)
    assert "gone" in found.failures[0]
    assert Course(teacher, gone, found.points).volume_at(1.0) == 0.0


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
    assert [candidate.finished_s for candidate in found.candidates] == [5.0, 9.0]
    assert (found.trainings, found.training_seconds) == (1, 2.5)
    assert found.failures == ["model=c: ValueError: no"]


def test_a_tool_that_fails_leaves_its_last_words(tmp_path):
    code = "import sys; print('half way'); sys.exit('no such pass')"
    (failure,) = running.run_tool([sys.executable, "-c", code], tmp_path, 60.0)
    assert failure.startswith("exit status 1")
    assert "half way" in failure
    assert "no such pass" in failure


@pytest.mark.slow
def test_a_tool_that_hangs_is_killed_and_said_so(tmp_path):
    code = "import time; print('searching', flush=True); time.sleep(600)"
    (failure,) = running.run_tool([sys.executable, "-c", code], tmp_path, 3.0)
    assert failure.startswith("killed after 3 s")
    assert "searching" in failure


def test_a_run_that_was_interrupted_is_ended_whole_and_no_result(tmp_path):
    code = (
        "import subprocess, sys; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); p.wait()"
    )
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(running.run_tool, [sys.executable, "-c", code], tmp_path, 60.0)
        while not running.last_words(tmp_path / "output.log").strip():
            time.sleep(0.02)
        running.end_all()
        with pytest.raises(KeyboardInterrupt):
            job.result()
    started = Path("/proc") / running.last_words(tmp_path / "output.log").strip() / "stat"
    assert not started.exists() or started.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_tool_and_what_it_starts_stay_on_the_core_that_it_is_given(tmp_path):
    """Two cores would let one tool take what the other's converters left."""
    code = "import os, subprocess, sys; subprocess.run(['grep', 'Cpus_allowed_list', '/proc/self/status'])"
    core = max(os.sched_getaffinity(0))
    with running.on_core(core):
        assert running.run_tool([sys.executable, "-c", code], tmp_path, 60.0) == []
    assert (tmp_path / "output.log").read_text().split() == ["Cpus_allowed_list:", str(core)]
    assert core in os.sched_getaffinity(0)


def test_the_seconds_of_stages_are_told_and_what_lies_within_none(tmp_path):
    """A stage within a stage counts for both, and once for what lies within none."""
    ended = {"teacher": (50.0, 45.0), "distill": (130.0, 20.0)}
    ended |= {"export": (120.0, 5.0), "measure": (140.0, 8.0)}
    for stage, (created, seconds) in ended.items():
        folder = tmp_path / stage / "key"
        folder.mkdir(parents=True)
        content = {"stage": stage, "created": created, "seconds": seconds}
        (folder / "manifest.json").write_text(json.dumps(content))
    found = tools.stage_seconds(tmp_path, 100.0, 150.0)
    assert found == {"distill": 20.0, "export": 5.0, "measure": 8.0, tools.OUTSIDE: 22.0}


def test_runs_are_kept_and_what_was_asked_otherwise_is_run_again(tmp_path, monkeypatch):
    made = []

    def tool(run):
        made.append((run.seed, run.seconds, frozenset(os.sched_getaffinity(0))))
        if run.seed:
            raise ValueError("it does not start")
        return tools.Result(candidates=[said("a", 0.9, 1.0, 10)], stages={"distill": 2.0})

    monkeypatch.setitem(bench.TOOLS, "ours", tool)
    cores = sorted(os.sched_getaffinity(0))[:1]
    setup = Setup(folder=tmp_path, study={}, seconds=9.0, box=box(tmp_path), floor=0.5)
    asked = {"setup": setup, "runs": tmp_path / "runs", "cores": cores}
    found = Bench(**asked, seconds=9.0).results(["ours"], 0)
    assert Bench(**asked, seconds=9.0).results(["ours"], 0) == found
    assert made == [(0, 9.0, frozenset(cores))]
    Bench(**asked, seconds=8.0).results(["ours"], 0)
    assert len(made) == 2
    (failure,) = Bench(**asked, seconds=9.0).results(["ours"], 1)["ours"].failures
    assert failure.startswith("ValueError: it does not start")


def test_the_table_has_a_line_per_tool(capsys):
    one = {
        "hypervolume": [0.5, 0.7, 0.6],
        "hypervolume_at": [{f"{share:.2f}": share for share in SHARES}] * 3,
        "interval": [(0.4, 0.6), (0.5, 0.74), (0.5, 0.8)],
        "candidates": [4, 5, 6],
        "front": [1, 2, 3],
        "trainings": [2, 2, 2],
        "training_seconds": [10.0, 11.0, 12.0],
        "stages": [{"distill": 30.0}, {}, {"distill": 31.0}],
        "failures": [[], ["a"], ["b", "c"]],
    }
    against = {"mean_difference": 0.02, "interval": (0.01, 0.03), "share_of_time": [0.25, None, 0.3]}
    show({"tools": {"ours": one, "olive": one}, "ours_against": {"olive": against}, "seconds": 60.0})
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["ours", "0.6000", "(0.5000-0.7000)", "+-0.1200", "5", "2", "2", "11", "3"]
    assert lines[5].split() == ["ours", *(f"{share:.4f}" for share in SHARES)]
    assert "+0.0200 (+0.0100 to +0.0300)" in lines[8]
    assert lines[9].endswith("0.25, never, 0.30")
    assert lines[10].split() == ["ours:", "distill", "30.0", "s", "(50%)"]


# -- a whole job ---

WORKLOAD = """
import numpy as np
import torch
from paretune import Split, Splits, Workload
from torch import nn


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU())
        self.classifier = nn.Linear(width, 2)

    def forward(self, image):
        return self.classifier(self.features(image).mean(dim=(2, 3)))


def split(seed):
    labels = np.arange(64) % 2
    noise = np.random.default_rng(seed).normal(0, 0.5, (64, 1, 4, 4))
    images = (noise + 2 * labels[:, None, None, None]).astype(np.float32)
    return Split(inputs={"image": images}, labels=labels)


def train_teacher(model, splits):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    images, labels = torch.from_numpy(splits.train.inputs["image"]), torch.from_numpy(splits.train.labels)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()


def workload(data):
    parts = ("train", "validation", "calibration", "test")
    splits = lambda: Splits(**{name: split(seed) for seed, name in enumerate(parts)})
    built = {"teacher": lambda: Net(32), "train_teacher": train_teacher, "student": Net}
    return Workload(name="tiny", splits=splits, **built)
"""
STUDY = """
name: tiny
workload: {file: WHERE, options: {data: none}}
profile: host
space:
  backend: [ort]
  precision: [fp32, int8, int8-dynamic]
  student: {width: [8, 16]}
  sparsity: [dense, channel:0.5]
  calibration: {method: [minmax, percentile], samples: [16]}
  distill: {temperature: [4], weight: [0.3, 0.7]}
training: {epochs: 2, finetune_epochs: 1, learning_rate: 0.01, batch: 16, threads: 1}
objectives: [accuracy, latency, size]
budget: {time: 120 s}
"""


@pytest.fixture(scope="module")
def setup(tmp_path_factory):
    folder = tmp_path_factory.mktemp("peers")
    (folder / "tiny.py").write_text(WORKLOAD)
    (folder / "job.yaml").write_text(STUDY.replace("WHERE", str(folder / "tiny.py")))
    return set_up(study_of(folder / "job.yaml", folder), folder / "setup")


@pytest.mark.slow
def test_the_plain_script_trains_everything_once_and_tries_every_variant_of_it(tmp_path, setup):
    """Its space is that of our study, and it ends by itself once it knows all of it."""
    run = tools.Run(setup=setup, folder=tmp_path, seconds=900.0, seed=0)
    found = tools.optuna_script(run)
    assert found.failures == []
    job = load_job(setup.folder / "study.yaml")
    assert found.trainings == len(list(job.space.trainings())) == 10
    lines = [json.loads(line) for line in (tmp_path / tools.LINES).read_text().splitlines()]
    told = [json.dumps(line["choice"], sort_keys=True) for line in lines if "choice" in line]
    assert len(told) == len(set(told)) == 4 * 11
    assert sum(candidate.size_bytes == candidate.file.stat().st_size for candidate in found.candidates) == 44
    runs = Bench(setup=setup, seconds=100.0, runs=tmp_path / "runs", cores=[None])
    ((first, scored),) = runs.courses({"optuna": found}, 0).values()
    assert set(first.points) == set(courses.ever_on_front(found.candidates))
    ((again, _),) = runs.courses({"optuna": found}, 0).values()
    assert again == first  # kept: a latency would be another
    assert scored.failures == {}


@pytest.mark.slow
def test_what_ours_found_is_read_from_its_record(tmp_path, setup):
    study = {**setup.study, "budget": {"trials": 1}}
    run = tools.Run(setup=replace(setup, study=study), folder=tmp_path, seconds=900.0, seed=0)
    found = tools.ours(run)
    assert found.failures == []
    assert len(found.candidates) == 1
    for candidate in found.candidates:
        assert candidate.file.stat().st_size == candidate.size_bytes
        assert 0 < candidate.finished_s < 900
    assert found.stages["measure"] > 0
    assert "teacher" not in found.stages  # it was trained before


@pytest.mark.parametrize(("name", "models"), [("digits", 14), ("trec", 31), ("spoken-digits", 51)])
def test_every_jobs_file_is_read_by_the_script_as_it_is_written(name, models):
    study = study_of(JOBS[name], None if name == "digits" else Path("data"))
    space = peer_job.read_space(study["space"])
    found = list(space.models())
    assert len(set(found)) == len(found) == models
    assert not found[0].trained
    assert Path(study["workload"]["file"]).is_file()


def test_data_are_refused_by_a_job_that_brings_its_own():
    with pytest.raises(UserError, match="--data"):
        study_of(JOBS["digits"], Path("somewhere"))
