"""Build and run paths on modules that have exactly what each recorded version has."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.trt import api as trt_api
from paretune.backends.trt import build as trt_build
from paretune.backends.trt.backend import TrtBackend
from paretune.backends.trt.cast import at_opset
from paretune.backends.trt.plan_file import read_plan
from paretune.profiles.errors import StageError, UnsupportedError, UserError
from paretune.profiles.precision import Precision
from trt.trt_checks import check_engine, compiled
from trt.trt_models import NETS
from trt.trt_stubs import VERSIONS

pytestmark = pytest.mark.slow

WEAK = ("8.5.3.1", "8.6.1", "10.3.0")
OLD = ("8.5.3.1", "8.6.1")
LATER = ("10.3.0", "10.16.1.11", "11.4.0.106")
EVERYWHERE = (Precision.FP32, Precision.FP16, Precision.INT8)


def flags_of(path):
    return said_of(path)["flags"]


def said_of(path):
    return json.loads(read_plan(path)[1].partition(b"\n")[0])


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("precision", EVERYWHERE)
@pytest.mark.parametrize("version", VERSIONS)
def test_engine_agrees_with_pytorch(version, precision, net, installed, driver, samples, tmp_path):
    installed(version)
    check_engine(samples[net], precision, tmp_path)
    assert (driver.stub_live(), driver.stub_contexts()) == (0, 0), "device memory was not freed"


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("precision", [Precision.BF16, Precision.FP8])
@pytest.mark.parametrize("version", LATER)
def test_later_precisions_agree_with_pytorch(version, precision, net, installed, driver, samples, tmp_path):
    installed(version)
    check_engine(samples[net], precision, tmp_path)


@pytest.mark.parametrize(
    ("version", "precision"),
    [
        *(("8.5.3.1", precision) for precision in EVERYWHERE),
        *(("11.4.0.106", precision) for precision in (*EVERYWHERE, Precision.BF16)),
    ],
)
def test_odd_operators_agree_with_pytorch(version, precision, installed, driver, samples, tmp_path):
    installed(version)
    check_engine(samples["odd"], precision, tmp_path)


@pytest.mark.parametrize("net", ["mlp", "transformer"])
@pytest.mark.parametrize("version", LATER)
def test_int4_weights_agree_with_pytorch(version, net, installed, driver, samples, tmp_path):
    installed(version)
    check_engine(samples[net], Precision.INT4_WEIGHT, tmp_path)


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.FP8, Precision.INT4_WEIGHT])
@pytest.mark.parametrize("version", LATER)
def test_kept_layers_stay_float_in_the_graph(version, precision, installed, driver, samples, tmp_path):
    installed(version)
    source = SourceModel(path=samples["mlp"].path, format="onnx")
    groups = TrtBackend().layers(source, precision)
    assert [group.name for group in groups] == ["body.0", "body.2", "body.4"]
    made = compiled(samples["mlp"], tmp_path, precision=precision, keep_float=groups[2].layers)
    whole = dict(compiled(samples["mlp"], tmp_path, precision=precision).stored_as)
    plain = "float32" if version in WEAK else "float16"
    assert made.stored_as == {**whole, "body.4": plain}
    assert len(set(whole.values()) - {plain}) == 1


@pytest.mark.parametrize("version", OLD)
@pytest.mark.parametrize("precision", [Precision.BF16, Precision.FP8, Precision.INT4_WEIGHT])
def test_later_precisions_are_refused_before_10(version, precision, installed, driver, samples, tmp_path):
    installed(version)
    with pytest.raises(UnsupportedError, match=f"{precision} needs TensorRT 10 or later; this is {version}"):
        compiled(samples["cnn"], tmp_path, precision=precision)


@pytest.mark.parametrize("precision", [Precision.INT8_DYNAMIC, Precision.INT16X8])
def test_precisions_that_no_version_has(precision, installed, driver, samples, tmp_path):
    installed("11.4.0.106")
    with pytest.raises(UnsupportedError, match=f"TensorRT has no {precision}"):
        compiled(samples["cnn"], tmp_path, precision=precision)


@pytest.mark.parametrize("version", VERSIONS)
def test_typing_and_flags_follow_the_version(version, installed, driver, samples, tmp_path):
    installed(version)
    weak = version in WEAK
    assert trt_api.weakly_typed() is weak
    quantized = compiled(samples["cnn"], tmp_path, precision=Precision.INT8)
    assert (
        {"INT8", "FP16"} <= set(flags_of(quantized.path)) if weak else "INT8" not in flags_of(quantized.path)
    )
    scales = "float32" if weak else "float16"
    assert set(quantized.weight_bytes) == {"int8", scales, "int64"}
    plain = compiled(samples["cnn"], tmp_path, precision=Precision.FP32)
    assert flags_of(plain.path) == [], "fp32 must not run in TF32"
    half = compiled(samples["cnn"], tmp_path, precision=Precision.FP16)
    assert ("FP16" in flags_of(half.path)) is weak


@pytest.mark.parametrize("version", VERSIONS)
def test_the_builder_is_told_its_level_where_it_has_one(version, installed, driver, samples, tmp_path):
    installed(version)
    told = {"precision": Precision.FP32, "options": {"optimization_level": "5"}}
    assert said_of(compiled(samples["mlp"], tmp_path, precision=Precision.FP32).path)["level"] == 3
    if version.startswith("8.5"):
        with pytest.raises(UnsupportedError, match="no optimization levels"):
            compiled(samples["mlp"], tmp_path, **told)
    else:
        assert said_of(compiled(samples["mlp"], tmp_path, **told).path)["level"] == 5


@pytest.mark.parametrize("version", VERSIONS)
def test_sparsity_is_read_back_from_the_log(version, installed, driver, samples, tmp_path):
    installed(version)
    data = at_opset(onnx.load(samples["mlp"].path), 13, 17).SerializeToString()
    options = trt_build.BuildOptions(precision=Precision.FP32, nm_sparsity=True)
    notes = trt_build.build(data, options).notes
    assert notes == ("2:4 sparsity: TensorRT found 2 layer(s)", "2:4 sparsity: TensorRT chose 1 layer(s)")


@pytest.mark.parametrize("version", VERSIONS)
def test_layers_are_read_back_on_the_device(version, installed, driver, samples, tmp_path):
    installed(version)
    artifact = compiled(samples["mlp"], tmp_path, precision=Precision.FP32)
    layers = len(onnx.load(samples["mlp"].path).graph.node)
    assert f"the engine has {layers} layer(s); outputs: {layers} Half" in artifact.notes


@pytest.mark.parametrize("version", VERSIONS)
def test_without_a_device_the_reason_is_given(version, installed, driver, samples, tmp_path):
    installed(version, device=False)
    with pytest.raises(
        UnsupportedError, match=r"needs a CUDA device and its driver to build: CUDA init.* error: 35"
    ):
        compiled(samples["cnn"], tmp_path, precision=Precision.FP32)


def test_every_parser_error_is_listed(installed, driver, tmp_path):
    nodes = [onnx.helper.make_node("NoSuchOp", [a], [b], domain="") for a, b in (("x", "y"), ("y", "z"))]
    value = [onnx.helper.make_tensor_value_info(n, 1, [1, 2]) for n in "xz"]
    graph = onnx.helper.make_graph(nodes, "g", value[:1], value[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    options = trt_build.BuildOptions(precision=Precision.FP32)
    for version, named in (
        ("8.5.3.1", "node 1: no importer"),
        ("11.4.0.106", r"node 'node_1' \(SomeOp\): no importer"),
    ):
        installed(version)
        with pytest.raises(UnsupportedError, match=rf"TensorRT {version} cannot read the model: .*; {named}"):
            trt_build.build(model.SerializeToString(), options)


def test_builder_failure_has_its_words_and_log(installed, driver, samples, monkeypatch, tmp_path):
    installed("10.3.0")
    monkeypatch.setattr(trt_build, "add_profile", lambda *_: None)
    with pytest.raises(StageError, match="no optimization profile has been defined") as caught:
        compiled(samples["cnn"], tmp_path, precision=Precision.FP32)
    assert "[ERROR]" in caught.value.log


def test_a_plan_of_another_version_is_refused(installed, driver, samples, tmp_path):
    installed("10.3.0")
    artifact = compiled(samples["mlp"], tmp_path, precision=Precision.FP32)
    installed("11.4.0.106")
    with pytest.raises(UserError, match="built by another TensorRT"):
        TrtBackend().open(artifact.path, batch=4, threads=1)


def test_a_file_that_is_no_plan_is_refused(installed, driver, tmp_path):
    installed("10.3.0")
    path = tmp_path / "model.plan"
    path.write_bytes(b"ftrt....")
    with pytest.raises(UserError, match="not a TensorRT artifact"):
        TrtBackend().open(path, batch=4, threads=1)


def test_a_damaged_plan_gives_the_reason_and_leaks_nothing(installed, driver, samples, tmp_path):
    installed("10.3.0")
    path = compiled(samples["mlp"], tmp_path, precision=Precision.FP32).path
    path.write_bytes(path.read_bytes().replace(b'\n{"version": "10.3.0"', b'\n{"version": "10.2.0"'))
    with pytest.raises(RuntimeError, match=r"could not deserialize the engine: .*not compatible"):
        TrtBackend().open(path, batch=4, threads=1)
    assert (driver.stub_live(), driver.stub_contexts()) == (0, 0)


def test_another_batch_than_compiled_is_refused(installed, driver, samples, tmp_path):
    installed("11.4.0.106")
    path = compiled(samples["mlp"], tmp_path, precision=Precision.FP32).path
    with pytest.raises(ValueError, match="for batch 4, asked for 1"):
        TrtBackend().open(path, batch=1, threads=1)


def test_timing_cache_is_kept_merged_and_renewed(installed, driver, samples, tmp_path, monkeypatch):
    cache = tmp_path / "cache" / "timings"
    cache.parent.mkdir()
    monkeypatch.setenv("PARETUNE_TRT_TIMING_CACHE", str(cache))
    installed("10.3.0")
    compiled(samples["mlp"], tmp_path, precision=Precision.FP32)
    compiled(samples["cnn"], tmp_path, precision=Precision.FP32)
    assert len(json.loads(cache.read_text())["entries"]) == 2
    installed("10.16.1.11")  # timings of another version are refused: the build starts afresh
    compiled(samples["cnn"], tmp_path, precision=Precision.FP32)
    content = json.loads(cache.read_text())
    assert content["version"] == "10.16.1.11"
    assert len(content["entries"]) == 1


def test_a_timing_cache_that_cannot_be_written_costs_nothing(installed, driver, samples, tmp_path):
    installed("10.3.0")
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    source = SourceModel(path=samples["mlp"].path, format="onnx")
    backend = TrtBackend(blocked / "timings")
    assert backend.compile(source, CompileSettings(precision=Precision.FP32), None, tmp_path).size_bytes > 0


def test_the_measuring_side_needs_numpy_alone():
    """Loading the adapter and reading a plan must not need what only compiling needs."""
    code = """
import sys
for blocked in ("torch", "onnx", "onnxruntime", "pandas", "optuna"):
    sys.modules[blocked] = None
from paretune.backends.trt import device_memory, session
from paretune.backends.trt.backend import TrtBackend
TrtBackend().availability()
print("loaded")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "loaded", done.stderr


def test_only_the_device_itself_can_be_the_target(installed, driver, samples, tmp_path):
    installed("10.3.0")
    compiled(samples["mlp"], tmp_path, precision=Precision.FP32, target="sm86")  # the stub's device
    with pytest.raises(UnsupportedError, match="builds on the device alone: sm89 is wanted, sm86 is here"):
        compiled(samples["mlp"], tmp_path, precision=Precision.FP32, target="sm89")


def test_calibration_data_is_needed(installed, driver, samples, tmp_path):
    installed("10.3.0")
    settings = CompileSettings(precision=Precision.INT8)
    with pytest.raises(ValueError, match="int8 needs calibration data"):
        TrtBackend().compile(SourceModel(path=samples["cnn"].path, format="onnx"), settings, None, tmp_path)


def test_availability_names_module_version_and_device(installed, driver, monkeypatch):
    installed("8.6.1")
    here = TrtBackend().availability()
    assert (here.installed, here.version, here.reason) == (True, "tensorrt 8.6.1", "")
    monkeypatch.setattr(trt_api, "CUDA_LIBRARY", "libcuda-that-is-not-here.so.1")
    here = TrtBackend().availability()
    assert here.installed
    assert "no NVIDIA driver" in here.reason
    monkeypatch.setattr(trt_api, "_MODULES", ("tensorrt_that_is_not_here",))
    here = TrtBackend().availability()
    assert not here.installed
    assert "pip install" in here.install


def test_what_a_version_lacks_is_refused_by_its_module(installed):
    """The fake is worth something only if it refuses: a few of the differences between the versions."""
    old, new = installed("8.5.3.1"), installed("11.4.0.106")
    assert hasattr(old.BuilderFlag, "INT8")
    with pytest.raises(AttributeError):
        _ = new.BuilderFlag.INT8
    with pytest.raises(AttributeError):
        _ = new.NetworkDefinitionCreationFlag.EXPLICIT_BATCH
    with pytest.raises(AttributeError):
        _ = old.NetworkDefinitionCreationFlag.STRONGLY_TYPED
    assert not hasattr(new.IExecutionContext, "execute_async_v2")
    context = new.IExecutionContext.__new__(new.IExecutionContext)
    with pytest.raises(TypeError, match="incompatible function arguments"):
        context.set_tensor_address("x", "0x10")
    with pytest.raises(TypeError, match="No constructor"):
        new.IExecutionContext()


def test_percentile_and_entropy_cut_tails(installed, driver, samples, tmp_path):
    installed("10.3.0")
    sample = samples["mlp"]
    data = np.tile(sample.data["features"], (20, 1))
    data[0, 0] = 500.0  # one wild value
    source = SourceModel(path=sample.path, format="onnx")
    clipping = CompileSettings(precision=Precision.INT8, calibration_method="percentile")
    with pytest.raises(StageError, match="disagrees with the float model"):
        TrtBackend().compile(source, clipping, {"features": data}, tmp_path)  # row 0 loses its 500
    outputs = {}
    for method in ("minmax", "percentile", "entropy"):
        settings = CompileSettings(precision=Precision.INT8, batch=4, calibration_method=method, check=False)
        artifact = TrtBackend().compile(source, settings, {"features": data}, tmp_path)
        with TrtBackend().open(artifact.path, batch=4, threads=1) as session:
            outputs[method] = session.run({"features": sample.data["features"][4:8]})["logits"]
    wanted = sample.reference({"features": sample.data["features"][4:8]})
    error = {method: np.abs(output - wanted).max() for method, output in outputs.items()}
    assert error["percentile"] < 0.5 * error["minmax"]
    assert error["entropy"] < 0.5 * error["minmax"]
