"""The TensorRT bundle's script, on recorded versions of TensorRT and a driver without a device."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.trt.backend import TrtBackend
from paretune.profiles.precision import Precision
from paretune.reports.bundle.write import export_bundle
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import StudyRecord
from paretune.search.store.store import Store, content_key
from trt.trt_fake import fake_tensorrt
from trt.trt_stubs import recorded

TESTS = Path(__file__).parents[2]
WEIGHTS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)


def onnx_file(path: Path) -> None:
    """y = x @ WEIGHTS with a dynamic batch."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["output"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(WEIGHTS, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)


def stored(root: Path, source: Path) -> str:
    """A compile entry for the TensorRT that is installed."""

    def make(into: Path) -> dict[str, object]:
        settings = CompileSettings(precision=Precision.FP32, batch=2, check=False)
        made = TrtBackend().compile(SourceModel(path=source, format="onnx"), settings, None, into)
        np.savez(into / "sample.npz", x=np.ones((2, 4), np.float32))
        return {
            "file": made.path.name,
            "artifact": {**asdict(made), "path": made.path.name, "precision": "fp32"},
            "inputs": [{"name": "x", "dtype": "float32", "shape": [2, 4]}],
            "outputs": [{"name": "output", "dtype": "float32", "shape": [2, 3]}],
            "sample": "sample.npz",
            "batch": 2,
            "threads": 1,
        }

    key = content_key("compile", 1, {"backend": "trt"})
    Store(root).produce("compile", key, {}, make)
    return key


def run_with(version: str, bundle: Path, driver: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The script in a process where `import tensorrt` gives that recorded version."""
    start = (
        f"import runpy, sys; sys.path.insert(0, {str(TESTS)!r})\n"
        "from trt.trt_fake import fake_tensorrt\nfrom trt.trt_stubs import recorded\n"
        f"sys.modules['tensorrt'] = fake_tensorrt(recorded({version!r}))\n"
        "sys.argv = sys.argv[1:]\nrunpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    return subprocess.run(
        [sys.executable, "-c", start, str(bundle / "run.py"), *arguments],
        capture_output=True, text=True, timeout=120, check=False,
        env={**os.environ, "LD_LIBRARY_PATH": str(driver)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a `libcuda` that has no device."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    assert compiler, "this test needs a C compiler (Debian: apt-get install gcc)"
    folder = tmp_path_factory.mktemp("driver")
    source = TESTS / "trt" / "libcuda_stub.c"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", folder / "libcuda.so.1", source], check=True)
    return folder


@pytest.mark.parametrize("version", ["8.5.3.1", "10.3.0", "11.4.0.106"])
def test_the_script_runs_an_engine(
    version: str, study: StudyRecord, driver: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", fake_tensorrt(recorded(version)))
    onnx_file(tmp_path / "source.onnx")
    trials = list(study.trials)
    evaluation = replace(
        trials[0].evaluation,
        candidate=Candidate(backend="trt", precision=Precision.FP32),
        artifact_key=stored(tmp_path / "store", tmp_path / "source.onnx"),
    )
    trials[0] = replace(trials[0], evaluation=evaluation)
    record = replace(study, trials=tuple(trials), store=str(tmp_path / "store"))
    path = export_bundle(record, 0, tmp_path / "bundle")
    assert json.loads((path / "manifest.json").read_text())["backend"] == "trt"
    assert (path / "requirements.txt").read_text() == f"numpy>=1.26\ntensorrt=={version}\n"
    rows = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    np.savez(tmp_path / "in.npz", x=rows)
    done = run_with(version, path, driver, str(tmp_path / "in.npz"), "-o", str(tmp_path / "out.npz"))
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "out.npz") as out:
        np.testing.assert_allclose(out["output"], rows @ WEIGHTS, rtol=1e-5)
    other = "8.6.1"
    refused = run_with(other, path, driver)
    assert refused.returncode == 1
    assert f"the engine needs tensorrt {version}" in refused.stderr
