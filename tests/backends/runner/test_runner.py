"""The runner process and its client: every way a child can end, provoked for real."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.runner.client import Guard, RunnerClient
from paretune.backends.runner.launch import LocalLaunch
from paretune.backends.runner.loads import under_load
from paretune.backends.runner.memory_told import memory_of, settled_memory
from paretune.profiles.errors import StageError, UnsupportedError, UserError
from paretune.profiles.precision import Precision

pytestmark = pytest.mark.alone

HERE = Path(__file__).resolve().parent
BACKEND = "scripted_backend:ScriptedBackend"
FEED = {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}
LAUNCH = LocalLaunch(path=(str(HERE),))


def client(**limits):
    return RunnerClient(LAUNCH, guard=Guard(**limits))


def model(folder, **script):
    path = folder / "model.txt"
    path.write_text(" ".join(f"{key}={value}" for key, value in script.items()))
    return path


def opened(runner, folder, **script):
    return runner.open(BACKEND, model(folder, **script), 2, 1)


def gone(pid, seconds=60.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_what_the_runtime_is_told_reaches_it_or_is_refused(tmp_path):
    with client() as runner:
        runner.open(BACKEND, model(tmp_path), 2, 1, {"speed": "high"})
        with pytest.raises(UnsupportedError, match="lanes = 4, and has 8"):
            runner.open(BACKEND, model(tmp_path), 2, 1, {"speed": "high", "lanes": "4"})
        with pytest.raises(StageError, match="nothing is open"):
            runner.prepare(FEED)
        opened(runner, tmp_path)
        runner.prepare(FEED)


def test_runner_needs_numpy_and_nothing_heavy(tmp_path):
    with client() as runner:
        opened(runner, tmp_path)
        runner.prepare(FEED)
        runner.sample(1, 1)
        hello = runner.hello()
    assert hello.pid != os.getpid()
    assert hello.environment["packages"]["numpy"] == np.__version__
    assert "numpy" in hello.modules
    heavy = {"torch", "pydantic", "optuna", "onnx", "pandas", "yaml", "psutil", "rich", "typer", "plotly"}
    assert not heavy & set(hello.modules)


def test_compile_sends_everything_and_gives_the_artifact_back(tmp_path):
    into = tmp_path / "into"
    into.mkdir()
    source = SourceModel(path=model(tmp_path, a=1), format="scripted")
    settings = CompileSettings(precision=Precision.INT8, calibration_method="entropy")
    with client() as runner:
        artifact = runner.compile(BACKEND, source, settings, {"x": np.ones((4, 3), np.float32)}, into)
    assert artifact.path == into / "scripted.bin"
    assert artifact.path.read_text() == "a=1 total=12"
    assert artifact.precision is Precision.INT8
    assert (artifact.weight_bytes, artifact.notes) == ({"int8": 5}, ("one note",))
    assert artifact.versions == {"scripted": "1"}


def test_kept_layers_and_what_was_read_back_travel(tmp_path):
    """Tuples are lists in JSON: the backend gets them back as they were, and so does the client."""
    product = helper.make_graph(
        [helper.make_node("MatMul", ["x", "a"], ["h"]), helper.make_node("MatMul", ["h", "b"], ["y"])],
        "two products",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(np.eye(4, dtype=np.float32), name) for name in "ab"],
    )
    onnx.save(helper.make_model(product, opset_imports=[helper.make_opsetid("", 18)]), tmp_path / "m.onnx")
    source = SourceModel(path=tmp_path / "m.onnx", format="onnx")
    settings = CompileSettings(precision=Precision.INT8, keep_float=("a",))
    samples = {"x": np.ones((4, 4), np.float32)}
    with client() as runner:
        artifact = runner.compile("toy", source, settings, samples, tmp_path)
    assert artifact.stored_as == {"a": "float32", "b": "int8"}
    assert artifact.zero_share is None


def test_open_infer_sample(tmp_path):
    with client() as runner:
        found = opened(runner, tmp_path)
        assert found.inputs[0].shape == (2, 3)
        assert found.outputs[0].name == "y"
        assert found.load_ms > 0
        assert runner.prepare(FEED) > 0
        data = {"x": np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)}
        np.testing.assert_array_equal(runner.infer(data)["y"], data["x"] * 2)
        samples = runner.sample(3, 5)
    assert len(samples) == 5
    assert all(isinstance(value, int) and value > 0 for value in samples)


def test_large_splits_are_sent_in_parts_of_whole_batches(tmp_path, monkeypatch):
    monkeypatch.setattr("paretune.backends.runner.pace.SENT_AT_ONCE_BYTES", 60)
    data = {"x": np.random.default_rng(0).normal(size=(11, 3)).astype(np.float32)}
    with client() as runner:
        opened(runner, tmp_path)
        np.testing.assert_array_equal(runner.infer(data)["y"], data["x"] * 2)


def test_simulated_time_takes_the_place_of_the_clock(tmp_path):
    with client() as runner:
        opened(runner, tmp_path, simulated_ns=1500)
        runner.prepare(FEED)
        assert runner.sample(4, 3) == [6000, 6000, 6000]


def test_under_load_simulated_time_passes_at_once_and_the_queue_counts(tmp_path):
    with client() as runner:
        opened(runner, tmp_path, simulated_ns=1_000_000)
        runner.prepare(FEED)
        found = under_load(runner, 1_400.0, 40_000, 600.0)  # its batch is two
        assert found.kept_up
        assert 40_000 / 2 < found.runs < 40_000
        assert found.mean_ms > 1.0
        cut = under_load(runner, 4_000.0, 40_000, 1.0)
        assert not cut.kept_up


def test_sample_before_prepare_is_an_error(tmp_path):
    with client() as runner:
        opened(runner, tmp_path)
        with pytest.raises(StageError, match="sample comes after prepare"):
            runner.sample(1, 1)
        runner.prepare(FEED)  # the runner lives on
        assert len(runner.sample(1, 2)) == 2


def test_wrong_feed_is_named(tmp_path):
    with client() as runner:
        opened(runner, tmp_path)
        with pytest.raises(StageError, match=r"input 'x' is float64\[2, 3\]"):
            runner.prepare({"x": FEED["x"].astype(np.float64)})


def test_what_a_runtime_prints_or_reads_does_not_touch_the_frames(tmp_path):
    with client() as runner:
        opened(runner, tmp_path, open="print", run="print", close="print")
        runner.prepare(FEED)
        np.testing.assert_array_equal(runner.infer(FEED)["y"], FEED["x"] * 2)
        opened(runner, tmp_path, open="read-input")


@pytest.mark.parametrize(
    ("what", "cause"),
    [
        ("segfault", r"killed by signal 11 \(segmentation fault\)"),
        ("abort", r"killed by signal 6 \(aborted\)"),
        ("exit", r"ended with exit status 3|raised SystemExit: os._exit\(3\)"),
        ("raise", r"RuntimeError: the kernel does not like this model"),
    ],
)
@pytest.mark.parametrize("where", ["compile", "open", "run"])
def test_every_end_has_stage_cause_and_log(tmp_path, what, cause, where):
    source = SourceModel(path=model(tmp_path, **{where: what}), format="scripted")

    def evaluate(runner):
        runner.compile(BACKEND, source, CompileSettings(precision=Precision.FP32), None, tmp_path)
        runner.open(BACKEND, source.path, 2, 1)
        runner.infer(FEED)

    with client() as runner, pytest.raises(StageError, match=cause) as caught:
        evaluate(runner)
    assert caught.value.stage == {"compile": "compile", "open": "measure", "run": "score"}[where]
    if what != "exit":
        assert "scripted_backend.py" in caught.value.log
        assert len(caught.value.log) <= 4096


def test_a_dead_runner_says_so_again_and_a_fresh_one_works(tmp_path):
    with client() as runner:
        with pytest.raises(StageError, match="signal 11"):
            opened(runner, tmp_path, open="segfault")
        with pytest.raises(StageError, match="signal 11"):
            runner.hello()
    with client() as runner:
        opened(runner, tmp_path)


@pytest.mark.parametrize(
    ("number", "outside"), [(signal.SIGKILL, True), (signal.SIGTERM, True), (signal.SIGSEGV, False)]
)
def test_an_end_from_outside_is_told_from_a_crash(tmp_path, number, outside):
    with client() as runner:
        opened(runner, tmp_path)
        os.kill(runner.hello().pid, number)
        with pytest.raises(StageError) as caught:
            runner.prepare(FEED)
    assert caught.value.outside is outside
    assert runner.ended is caught.value


@pytest.mark.parametrize("what", ["hang", "hang-in-c"])
def test_a_hang_is_killed_at_the_limit_and_says_where(tmp_path, what):
    with client(run_s=1.0) as runner:
        pid = runner.hello().pid
        opened(runner, tmp_path, run=what)
        with pytest.raises(StageError, match="no answer to prepare within 1 s: killed") as caught:
            runner.prepare(FEED)
    assert gone(pid)
    assert "in act" in caught.value.log


def test_processes_that_a_runtime_started_die_with_it(tmp_path):
    with client(open_s=2.0) as runner, pytest.raises(StageError, match="no answer to open") as caught:
        opened(runner, tmp_path, open="child")
    helper = int(caught.value.log.split("helper ")[1].split()[0])
    assert gone(helper)


@pytest.mark.parametrize(
    ("what", "cause"), [("hog", "out of memory.*400 MB"), ("hog-in-c", r"signal 6.*400 MB of memory")]
)
def test_memory_over_the_limit(tmp_path, what, cause):
    with client(memory_bytes=400_000_000) as runner:
        opened(runner, tmp_path, run=what)
        with pytest.raises(StageError, match=cause):
            runner.prepare(FEED)


def test_a_limit_that_is_too_low_to_start_is_named():
    with pytest.raises(StageError, match="did not start; the limit is 20 MB of memory"):
        client(memory_bytes=20_000_000).hello()


def test_memory_is_that_of_the_model_and_of_its_first_run(tmp_path):
    with client() as runner:
        opened(runner, tmp_path, keep=50_000_000, run_bytes=100_000_000)
        runner.prepare(FEED)
        memory = runner.memory()
        runner.infer({"x": np.zeros((2, 3), np.float32)})
        assert runner.memory() == memory  # what comes after the first run does not count
    assert memory == pytest.approx(150e6, rel=0.1)


def test_memory_is_told_by_phases_and_a_leak_with_it(tmp_path):
    with client() as runner:
        opened(runner, tmp_path, keep=50_000_000, run_bytes=20_000_000, leak=200_000)
        assert memory_of(runner) is None  # nothing has run
        runner.prepare(FEED)
        found = settled_memory([runner], 0.5)
    (memory,) = found.processes
    assert memory.above_base("load") == pytest.approx(50e6, rel=0.1)
    assert memory.above_base("first") == pytest.approx(70e6, rel=0.1)
    assert memory.most == memory.above_base("steady") > memory.above_base("first")
    assert (found.settled, found.growth_bytes) == (False, pytest.approx(200_000, rel=0.2))


def test_a_pinned_runner_holds_sessions_on_as_many_cores_as_threads(tmp_path):
    allowed = os.sched_getaffinity(0)
    path = model(tmp_path, affinity=1)
    with RunnerClient(LAUNCH, pinned=True) as runner, RunnerClient(LAUNCH, pinned=True) as other:
        first = runner.open(BACKEND, path, 2, 1)
        assert len(first.cores) == 1
        assert runner.infer(FEED)["y"][0, 0] == 1
        assert os.sched_getaffinity(runner.hello().pid) == set(first.cores)
        assert other.open(BACKEND, path, 2, 1).cores == first.cores, "all on the same core"
        again = runner.open(BACKEND, path, 2, len(allowed))
        assert again.cores == tuple(sorted(allowed))
        assert runner.infer(FEED)["y"][0, 0] == len(allowed)


def test_a_runner_that_is_not_pinned_may_run_anywhere(tmp_path):
    with client() as runner:
        assert opened(runner, tmp_path, affinity=1).cores == ()
        assert runner.infer(FEED)["y"][0, 0] == len(os.sched_getaffinity(0))


def test_refusals_and_mendable_errors_travel_as_such(tmp_path):
    with client() as runner:
        with pytest.raises(UnsupportedError, match="no such operator: Gargle"):
            opened(runner, tmp_path, open="refuse")
        with pytest.raises(StageError, match=r"licence is missing \(.*scripted_backend.py, line") as caught:
            opened(runner, tmp_path, open="mend")
        assert "buy one" in caught.value.log
        with pytest.raises(UserError, match="unknown backend 'tvmm'"):
            runner.open("tvmm", model(tmp_path), 1, 1)
        with pytest.raises(StageError, match=r"loading backend 'no_such_module:Backend' raised ModuleNot"):
            runner.open("no_such_module:Backend", model(tmp_path), 1, 1)
        with pytest.raises(UserError, match="is not a backend"):
            runner.open("collections:OrderedDict", model(tmp_path), 1, 1)


def test_a_stage_that_fails_by_its_own_words_is_not_dressed_up(tmp_path):
    settings = CompileSettings(precision=Precision.INT8)
    with client() as runner:
        for script, cause, log in (
            ("disagree", "artifact disagrees with the float model: SQNR -3.0 dB", "in act"),
            ("disagree-with-log", "the builder gave up", "the builder's own words"),
        ):
            source = SourceModel(path=model(tmp_path, compile=script), format="scripted")
            with pytest.raises(StageError, match=cause) as caught:
                runner.compile(BACKEND, source, settings, None, tmp_path)
            assert (caught.value.stage, caught.value.cause) == ("compile", cause)
            assert log in caught.value.log
        with pytest.raises(StageError, match="the builder gave up") as caught:
            opened(runner, tmp_path, open="disagree-with-log")
        assert caught.value.stage == "compile"
        assert runner.hello().pid  # it lives on


def test_closed_means_closed(tmp_path):
    with client() as runner:
        pid = runner.hello().pid
    assert gone(pid)
    runner.close()
    with pytest.raises(StageError, match="closed"):
        runner.hello()


def test_a_session_that_hangs_in_close_does_not_hold_the_study_up(tmp_path, monkeypatch):
    monkeypatch.setattr("paretune.backends.runner.client.CLOSE_S", 0.5)
    with client() as runner:
        pid = runner.hello().pid
        opened(runner, tmp_path, close="hang")
    assert gone(pid)


PARENT = """
import sys, threading
from pathlib import Path
import numpy as np
from paretune.backends.runner.client import Guard, RunnerClient
from paretune.backends.runner.launch import LocalLaunch

def work():
    runner = RunnerClient(LocalLaunch(path=({here!r},)))
    print(runner.hello().pid, flush=True)
    runner.open({backend!r}, Path({model!r}), 2, 1)
    print("opened", flush=True)
    runner.prepare({{"x": np.zeros((2, 3), np.float32)}})

if {threaded}:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
else:
    work()
"""


@pytest.mark.parametrize(("what", "threaded"), [("hang", False), ("hang-in-c", False), ("hang", True)])
def test_the_runner_dies_with_a_killed_study(tmp_path, what, threaded):
    text = PARENT.format(
        here=str(HERE), backend=BACKEND, model=str(model(tmp_path, run=what)), threaded=threaded
    )
    parent = subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)
    try:
        pid = int(parent.stdout.readline())
        assert parent.stdout.readline() == "opened\n"
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        parent.stdout.close()
    assert gone(pid)


def test_ctrl_c_in_the_terminal_does_not_reach_the_runner():
    with client() as runner:
        assert os.getpgid(runner.hello().pid) != os.getpgid(0)


def test_works_from_any_directory_and_is_not_shadowed(tmp_path, monkeypatch):
    for name in ("random.py", "numpy.py", "struct.py", "backends.py"):
        (tmp_path / name).write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    with client() as runner:
        assert runner.hello().pid


def test_own_backends_are_found_where_the_study_finds_them(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    with RunnerClient(LocalLaunch()) as runner:
        opened(runner, tmp_path)


def test_a_runner_that_cannot_start_is_a_failed_stage(tmp_path):
    launch = LocalLaunch(variables={"PYTHONHOME": str(tmp_path)})
    with pytest.raises(StageError, match="the runner did not start") as caught:
        RunnerClient(launch).hello()
    assert caught.value.stage == "start"
    assert caught.value.log


def test_bytes_on_standard_output_before_the_frames_are_skipped(tmp_path):
    text = textwrap.dedent("""\
        import os
        os.write(1, b"Welcome to the machine\\n")
    """)
    (tmp_path / "sitecustomize.py").write_text(text)
    launch = LocalLaunch(path=(str(HERE),), variables={"PYTHONPATH": str(tmp_path)})
    with RunnerClient(launch) as runner:
        opened(runner, tmp_path)
