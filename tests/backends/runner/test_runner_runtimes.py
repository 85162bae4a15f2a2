"""Real runtimes in the runner: what the measuring side loads, and that limits leave them room."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.measure.latency import measure
from paretune.backends.measure.samples import LatencyPlan
from paretune.backends.measure.summary import summarize
from paretune.backends.runner.client import Guard, RunnerClient
from paretune.backends.runner.launch import LocalLaunch
from paretune.backends.runner.loads import under_load
from paretune.profiles.errors import StageError
from paretune.profiles.precision import Precision

pytestmark = pytest.mark.alone

HEAVY = {"torch", "onnx", "pydantic", "optuna", "pandas", "tensorflow", "rich", "typer", "plotly", "psutil"}
DATA = {"x": np.random.default_rng(0).normal(size=(5, 8)).astype(np.float32)}
WEIGHT = np.random.default_rng(1).normal(size=(8, 4)).astype(np.float32)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(WEIGHT, "w")],
    )
    path = folder / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    with RunnerClient(LocalLaunch()) as runner:
        settings = CompileSettings(precision=Precision.FP32, batch=2)
        return runner.compile("ort", SourceModel(path=path, format="onnx"), settings, DATA, folder).path


def test_the_measuring_side_loads_numpy_and_the_runtime_alone(artifact):
    with RunnerClient(LocalLaunch(), guard=Guard(memory_bytes=300_000_000)) as runner:
        runner.open("ort", artifact, 2, 1)
        assert runner.prepare({"x": DATA["x"][:2]}) > 0
        np.testing.assert_allclose(runner.infer(DATA)["y"], DATA["x"] @ WEIGHT, rtol=1e-4, atol=1e-5)
        memory = runner.memory()
        modules = set(runner.hello().modules)
    assert "onnxruntime" in modules
    assert not HEAVY & modules
    assert 0 < memory < 300_000_000


def test_a_model_against_itself_in_other_processes(artifact):
    with RunnerClient(LocalLaunch()) as one, RunnerClient(LocalLaunch()) as two:
        for runner in (one, two):
            runner.open("ort", artifact, 2, 1)
            runner.prepare({"x": DATA["x"][:2]})
        rounds = measure({"a": one}, two, LatencyPlan(rounds=10, block_ms=4, warm_up_s=0.02))
    found = summarize(rounds, "a")
    assert rounds.series["a"].loops > 10
    assert found.ratio.low < found.ratio.value < found.ratio.high
    assert found.minimum_ms.value <= found.latency_ms.value


def test_a_real_session_is_put_under_load(artifact):
    with RunnerClient(LocalLaunch()) as runner:
        runner.open("ort", artifact, 2, 1)
        with pytest.raises(StageError, match="load comes after prepare"):
            under_load(runner, 500.0, 10, 5.0)
        runner.prepare({"x": DATA["x"][:2]})
        found = under_load(runner, 1_000.0, 300, 5.0, skip=30)
        whole = under_load(runner, 0.0, 2_000, 5.0)
        modules = set(runner.hello().modules)
    assert found.kept_up
    assert (found.served, len(found.responses_ms)) == (300, 270)
    assert found.seconds >= 0.29  # they come at their times, not faster
    assert (whole.runs, whole.served) == (1_000, 2_000)  # whole batches
    assert not HEAVY & modules
