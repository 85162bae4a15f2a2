"""The null backend's formula and its scripted misbehaviour, each crash provoked in a child process."""

import json
import signal
import subprocess
import sys
import textwrap

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.null.backend import SCRIPT, NullBackend
from paretune.profiles.errors import UnsupportedError, UserError
from paretune.profiles.precision import Precision

BACKEND = NullBackend()
FEED = {"x": np.ones((1, 8), np.float32)}


@pytest.fixture
def source(tmp_path):
    """A matrix product of 8 by 4 with a dynamic batch."""
    weight = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["output"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 4])],
        [numpy_helper.from_array(weight, "w")],
    )
    path = tmp_path / "source.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)
    return SourceModel(path=path, format="onnx")


def compile_at(source, precision, batch=1):
    folder = source.path.parent / f"{precision}-{batch}"
    folder.mkdir(exist_ok=True)
    return BACKEND.compile(source, CompileSettings(precision=precision, batch=batch), FEED, folder)


def simulated_ns(source, precision, batch=1):
    with BACKEND.open(compile_at(source, precision, batch).path, batch, 1) as session:
        return session.simulated_ns


def test_fewer_bits_are_faster(source):
    times = [
        simulated_ns(source, p)
        for p in (Precision.FP32, Precision.FP16, Precision.INT8, Precision.INT4_WEIGHT)
    ]
    assert times == [20_064, 20_032, 20_016, 20_008]


def test_time_grows_with_the_batch(source):
    assert simulated_ns(source, Precision.FP32, batch=10) == 20_640


def test_weights_are_stored_at_their_bits(source):
    stored = {str(p): compile_at(source, p).weight_bytes for p in Precision}
    assert stored["fp32"] == {"float32": 128}
    assert stored["bf16"] == {"bfloat16": 64}
    assert stored["int8"] == {"int8": 32}
    assert stored["int4-weight"] == {"int4": 16}


def test_odd_number_of_four_bit_weights(tmp_path):
    from paretune.backends.null.format import pack, unpack

    weight = np.array([7, -7, 1, -3, 0], np.float32).reshape(1, 5)
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["output"])],
        "sum",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 5])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", 5])],
        [numpy_helper.from_array(weight, "w")],
    )
    onnx.save(helper.make_model(graph), tmp_path / "sum.onnx")
    content, stored, _ = pack(tmp_path / "sum.onnx", Precision.INT4_WEIGHT, 1, True)
    assert stored == {"int4": 3}
    assert np.array_equal(numpy_helper.to_array(unpack(content).model.graph.initializer[0]), weight)


def test_layers_kept_in_float_are_stored_and_timed_as_float(source):
    (group,) = BACKEND.layers(source, Precision.INT8)
    assert (group.name, group.layers, group.weights) == ("w", ("w",), 32)
    folder = source.path.parent / "kept"
    folder.mkdir()
    settings = CompileSettings(precision=Precision.INT8, keep_float=group.layers)
    artifact = BACKEND.compile(source, settings, FEED, folder)
    assert artifact.stored_as == {"w": "float32"}
    assert artifact.weight_bytes == {"float32": 128}
    assert compile_at(source, Precision.INT8).stored_as == {"w": "int8"}
    with BACKEND.open(artifact.path, 1, 1) as kept:
        assert kept.simulated_ns == simulated_ns(source, Precision.FP32)
    assert BACKEND.layers(source, Precision.FP32) == ()


def test_unknown_layers_cannot_be_kept(source):
    settings = CompileSettings(precision=Precision.INT8, keep_float=("v", "w"))
    with pytest.raises(ValueError, match=r"keep_float names no layers of this model: v$"):
        BACKEND.compile(source, settings, FEED, source.path.parent)


def test_fixed_batch_of_the_source_is_kept(source):
    proto = onnx.load(source.path)
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    onnx.save(proto, source.path)
    with pytest.raises(UnsupportedError, match="fixed batch of 2, asked for 1"):
        compile_at(source, Precision.FP32)


@pytest.mark.parametrize(
    ("behaviour", "error"), [("refuse", UnsupportedError), ("error", RuntimeError)], ids=["refuse", "error"]
)
@pytest.mark.parametrize("stage", ["compile", "open", "run"])
def test_scripted_errors(source, monkeypatch, behaviour, error, stage):
    monkeypatch.setenv(SCRIPT, json.dumps({f"int8/{stage}": behaviour}))
    compile_at(source, Precision.FP32)
    with pytest.raises(error, match=f"int8 at {stage}"):  # noqa: PT012
        artifact = compile_at(source, Precision.INT8)
        with BACKEND.open(artifact.path, 1, 1) as session:
            session.run(FEED)


def test_a_star_means_every_precision(source, monkeypatch):
    monkeypatch.setenv(SCRIPT, '{"*/compile": "refuse"}')
    with pytest.raises(UnsupportedError, match="refuses fp32 at compile"):
        compile_at(source, Precision.FP32)


@pytest.mark.parametrize(
    "script", ["[]", '{"int9/run": "hang"}', '{"int8/run": "explode"}', '{"int8/run": []}']
)
def test_wrong_scripts_are_refused(source, monkeypatch, script):
    monkeypatch.setenv(SCRIPT, script)
    with pytest.raises(UserError, match="not a script"):
        compile_at(source, Precision.FP32)


def test_script_that_is_not_json(source, monkeypatch):
    monkeypatch.setenv(SCRIPT, "{")
    with pytest.raises(UserError, match="not JSON"):
        compile_at(source, Precision.FP32)


def child(behaviour, **options):
    """A process that misbehaves at once."""
    code = f"""
        import os, resource
        os.environ["{SCRIPT}"] = '{{"fp32/run": "{behaviour}"}}'
        from paretune.backends.null.backend import misbehave
        from paretune.profiles.precision import Precision
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
        misbehave(Precision.FP32, "run")
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.mark.parametrize(
    ("behaviour", "number"),
    [("segfault", signal.SIGSEGV), ("abort", signal.SIGABRT)],
    ids=["segfault", "abort"],
)
def test_crashes_are_real(behaviour, number):
    assert child(behaviour).returncode == -number


def test_hang_is_real():
    with pytest.raises(subprocess.TimeoutExpired):
        child("hang", timeout=3)


def test_memory_runs_out():
    done = child("oom")
    assert done.returncode == 1
    assert "Unable to allocate" in done.stderr
