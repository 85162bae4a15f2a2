"""What users bring besides a workload file: a backend of their own, an ONNX model with weights beside it."""

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.profiles.errors import UserError
from paretune.search.record.evaluation import Outcome
from paretune.search.run.session import run_study
from paretune.search.run.stored import open_run

BACKEND = """
from paretune_toy import ToyBackend
from paretune.profiles.precision import Precision

class Mine(ToyBackend):
    name = "mine"

    def precisions(self, profile):
        return (Precision.FP32, Precision.FP16)
"""


@pytest.mark.slow
def test_a_backend_of_ones_own(bench, shared_store, tmp_path_factory):
    (bench.root / "own_backend.py").write_text(BACKEND)
    space = {"student": {"width": [4]}, "backend": ["own_backend:Mine"]}
    study = bench.study(store=shared_store, space=space, budget={"trials": 2}, finalists=1)
    planned = bench.run("plan", study)
    assert "own_backend:Mine" in planned.stdout, planned.stderr
    ran = bench.run("run", study)
    assert ran.returncode == 0, ran.stderr
    record = open_run(study)[0]
    complete = [t.evaluation.candidate for t in record.trials if t.evaluation.outcome is Outcome.COMPLETE]
    assert {c.backend for c in complete} == {"own_backend:Mine"}
    assert {str(c.precision) for c in complete} == {"fp32", "fp16"}
    bundle, elsewhere = bench.root / "bundle", tmp_path_factory.mktemp("elsewhere")
    command = [
        sys.executable,
        "-m",
        "paretune.cli",
        "export",
        bench.root / "runs" / "blobs",
        "0",
        "-o",
        bundle,
    ]
    subprocess.run(command, cwd=elsewhere, check=True)
    assert (bundle / "run.py").is_file(), "its module is found beside the study file, from anywhere"

    made = {s.key for t in record.trials for s in t.evaluation.stages if s.name == "compile"}
    (bench.root / "own_backend.py").write_text(BACKEND + "\n# compiles otherwise now\n")
    again = bench.study("again", store=shared_store, space=space, budget={"trials": 2}, finalists=1)
    assert bench.run("run", again).returncode == 0
    compiled = [s for t in open_run(again)[0].trials for s in t.evaluation.stages if s.name == "compile"]
    assert compiled
    assert not made & {stage.key for stage in compiled}, "a changed backend compiles anew"


ONNX_WORKLOAD = """
from pathlib import Path
from blobs import splits
from paretune import Workload

workload = Workload(name="given", splits=splits, onnx=Path("model.onnx"))
"""


def write_model(folder, weight, place):
    """A linear classifier whose weights lie in the file `place`."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["scores"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    (folder / place).unlink(missing_ok=True)
    onnx.save_model(
        model, folder / "model.onnx", save_as_external_data=True, location=place, size_threshold=0
    )


@pytest.fixture
def given(bench):
    (bench.root / "given.py").write_text(ONNX_WORKLOAD)
    centres = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32) * 2
    space = {"backend": ["ort"], "precision": ["fp32"]}
    study = bench.study("given", workload="given.py", space=space, budget={"trials": 1}, finalists=1)
    return study, centres.T


@pytest.mark.slow
def test_weights_beside_an_onnx_file_belong_to_the_model(bench, given):
    study, weight = given
    write_model(bench.root, weight, "model.weights")
    first = run_study(study).record
    teacher = first.trials[0].evaluation
    assert teacher.outcome is Outcome.COMPLETE
    assert teacher.metrics["parameters"].value == 24

    graph = (bench.root / "model.onnx").read_bytes()
    write_model(bench.root, weight[:, ::-1].copy(), "model.weights")
    assert (bench.root / "model.onnx").read_bytes() == graph
    with pytest.raises(UserError, match="describes another problem"):
        run_study(study)
    (bench.root / "model.weights").unlink()
    with pytest.raises(UserError, match=r"weights of tensor 'w' cannot be read[\s\S]*model\.weights"):
        run_study(study)


@pytest.mark.parametrize("asked", [{"objectives": ["accuracy", "macs"]}, {"constraints": ["macs <= 1 M"]}])
def test_multiply_adds_of_a_given_model_are_refused_before_anything_runs(bench, given, asked):
    write_model(bench.root, given[1], "model.weights")
    study = bench.study("asked", workload="given.py", space={"backend": ["ort"]}, **asked)
    with pytest.raises(UserError, match="multiply-adds are not counted"):
        run_study(study)
    assert not (bench.root / "runs").exists()


@pytest.mark.slow
def test_a_study_whose_teacher_never_ran_is_made_anew_when_the_problem_is_mended(bench, shared_store):
    study = bench.study(store=shared_store, guard={"memory": "1 MB"}, budget={"trials": 2}, finalists=1)
    with pytest.raises(UserError, match="uncompressed teacher cannot run"):
        run_study(study)
    common = {"store": shared_store, "budget": {"trials": 2}, "finalists": 1}
    assert run_study(bench.study(**common, deploy={"batch": 2})).record.counters["complete"] == 2
    with pytest.raises(UserError, match="describes another problem"):
        run_study(bench.study(**common))
