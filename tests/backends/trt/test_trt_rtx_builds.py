"""Real builds by TensorRT-RTX, which needs no GPU for them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.onnx_graph.layers import find_layers
from paretune.backends.trt import backend as trt_backend
from paretune.backends.trt import build as trt_build
from paretune.backends.trt.backend import TrtBackend
from paretune.backends.trt.build import BuildOptions, build
from paretune.backends.trt.graphs import folded
from paretune.backends.trt.plan_file import read_plan
from paretune.profiles.errors import StageError, UnsupportedError
from paretune.profiles.precision import Precision
from trt.qdq_rules import check_qdq
from trt.trt_checks import compiled
from trt.trt_models import NETS, halve
from trt.trt_qdq_cases import CASES, qdq_conv

pytestmark = [pytest.mark.usefixtures("rtx", "no_gpu"), pytest.mark.slow]

EVERY = (Precision.FP32, Precision.FP16, Precision.BF16, Precision.INT8)


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("target", ["sm86", "sm89", "sm120"])
@pytest.mark.parametrize("precision", EVERY)
def test_builds_for_devices_that_are_not_here(net, precision, target, samples, tmp_path):
    artifact = compiled(samples[net], tmp_path, precision=precision, target=target)
    header, plan = read_plan(artifact.path)
    assert (header.module, header.target) == ("tensorrt_rtx", target)
    assert len(plan) > 10_000


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize(
    ("precision", "kind"),
    [
        (Precision.FP32, "float32"),
        (Precision.FP16, "float16"),
        (Precision.BF16, "bfloat16"),
        (Precision.INT8, "int8"),
        (Precision.FP8, "float8"),
    ],
)
def test_the_plan_itself_lists_weights_of_the_precision(net, precision, kind, samples, tmp_path):
    """The strongest proof without a GPU: what the builder says that it put into the plan."""
    artifact = compiled(samples[net], tmp_path, precision=precision, target="sm89")
    elements = {
        k: v / {"float32": 4, "float16": 2, "bfloat16": 2}.get(k, 1) for k, v in artifact.weight_bytes.items()
    }
    assert elements[kind] > 0.7 * sum(elements.values()), artifact.weight_bytes
    assert any("weight types are those it lists" in note for note in artifact.notes)


@pytest.mark.parametrize(
    ("net", "precision", "kind"),
    [
        ("residual", Precision.INT8, "int8"),
        ("residual", Precision.FP8, "float8"),
        ("transformer", Precision.INT4_WEIGHT, "int4"),
    ],
)
def test_the_engine_runs_layers_at_the_precision_and_kept_ones_in_float(
    net, precision, kind, samples, tmp_path, monkeypatch
):
    """Asked of the builder's list, which names the nodes that each layer of the engine computes."""
    lists = []

    def spy(content, options):
        plan = build(content, options)
        lists.append(plan.layers)
        return plan

    monkeypatch.setattr(trt_backend, "build", spy)
    source = SourceModel(path=samples[net].path, format="onnx")
    first, *others = TrtBackend().layers(source, precision)
    made = compiled(samples[net], tmp_path, precision=precision, target="sm89", keep_float=first.layers)
    assert made.stored_as[first.layers[0]] == "float16"
    assert {made.stored_as[name] for group in others for name in group.layers} == {kind}
    known = {layer.name: layer for layer in find_layers(folded(onnx.load(source.path)))}
    low = {name for name, one in known.items() if takes(lists[-1], one, kind)}
    assert low == {name for group in others for name in group.layers} - UNPACKED.get(net, set())
    assert any(note.startswith("simulated on the CPU, it agrees with the float model") for note in made.notes)


UNPACKED = {"transformer": {"head"}}  # five outputs: its 4-bit weights are unpacked by a layer of their own


def takes(engine, layer, kind):
    return engine.take(layer.nodes, layer.weights, kind, activations=kind != "int4")


@pytest.mark.parametrize(("precision", "kind"), [(Precision.INT8, "int8"), (Precision.FP8, "float8")])
def test_layers_without_a_kernel_are_built_in_float_and_told(precision, kind, samples, tmp_path):
    made = compiled(samples["odd"], tmp_path, precision=precision, target="sm89")
    assert made.stored_as == {
        "stem": kind, "depthwise": kind, "up": "float16", "grouped": "float16", "head": kind
    }  # fmt: skip
    assert any(note.startswith("up, grouped: built in float") for note in made.notes)


def test_a_model_of_which_most_has_no_kernel_is_refused(tmp_path):
    """Transposed convolutions: RTX stores their weights in 8 bits and computes in float."""
    weight = np.random.default_rng(0).standard_normal((16, 16, 3, 3), dtype=np.float32)
    edges = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", 16, None, None]) for name in "xy"]
    edges[0] = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", 16, 8, 8])
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], name="up")
    graph = helper.make_graph([node], "g", edges[:1], edges[1:], [numpy_helper.from_array(weight, "w")])
    path = tmp_path / "up.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    data = {"x": np.random.default_rng(1).standard_normal((8, 16, 8, 8), dtype=np.float32)}
    settings = CompileSettings(precision=Precision.INT8, target="sm89")
    with pytest.raises(UnsupportedError, match="int8 would reach 0 % of the weights"):
        TrtBackend().compile(SourceModel(path=path, format="onnx"), settings, data, tmp_path)


@pytest.mark.parametrize("target", ["sm80", "sm86", "sm120"])
def test_int4_weights_build_from_sm80_on(target, samples, tmp_path):
    made = compiled(samples["mlp"], tmp_path, precision=Precision.INT4_WEIGHT, target=target)
    assert set(made.stored_as.values()) == {"int4"}
    assert made.weight_bytes["int4"] == 6464


def test_int4_is_refused_where_the_device_lacks_it(samples, tmp_path):
    with pytest.raises(UnsupportedError, match=r"the device lacks a type.*sm75.*int4"):
        compiled(samples["mlp"], tmp_path, precision=Precision.INT4_WEIGHT, target="sm75")


def test_int4_and_two_of_four_exclude_each_other(samples, tmp_path):
    with pytest.raises(UnsupportedError, match="no 2:4 kernels for int4-weight"):
        compiled(
            halve(samples["mlp"], tmp_path), tmp_path, precision=Precision.INT4_WEIGHT, nm_sparsity=True,
            target="sm86",
        )  # fmt: skip


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("target", ["sm89", "sm120"])
def test_fp8_builds_where_the_device_has_it(net, target, samples, tmp_path):
    artifact = compiled(samples[net], tmp_path, precision=Precision.FP8, target=target)
    assert artifact.weight_bytes["float8"] > 0


def test_fp8_is_refused_where_the_device_lacks_it(samples, tmp_path):
    with pytest.raises(UnsupportedError, match=r"the device lacks a type.*sm86.*fp8"):
        compiled(samples["cnn"], tmp_path, precision=Precision.FP8, target="sm86")


def test_targets_must_be_compute_capabilities(samples, tmp_path):
    with pytest.raises(UnsupportedError, match="'orin' is no compute capability; write it as sm86"):
        compiled(samples["mlp"], tmp_path, precision=Precision.INT8, nm_sparsity=True, target="orin")


def test_unknown_targets_are_refused_with_the_known_ones(samples, tmp_path):
    with pytest.raises(UnsupportedError, match="cannot build for sm61; it builds for sm75, sm80, sm86"):
        compiled(samples["cnn"], tmp_path, precision=Precision.FP32, target="sm61")


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
def test_two_of_four_builds(net, precision, samples, tmp_path):
    sample = halve(samples[net], tmp_path)
    artifact = compiled(sample, tmp_path, precision=precision, nm_sparsity=True, target="sm86")
    assert any("qualify" in note for note in artifact.notes)
    assert any("does not say which layers use it" in note for note in artifact.notes)


def test_dense_weights_with_sparsity_are_refused(samples, tmp_path):
    with pytest.raises(UnsupportedError, match="would change nothing: 2:4 sparsity: 0 of 3"):
        compiled(samples["mlp"], tmp_path, precision=Precision.FP16, nm_sparsity=True, target="sm86")


@pytest.mark.parametrize(
    ("precision", "target", "reason"),
    [
        (Precision.FP16, "sm75", "needs NVIDIA sm_80 or later"),
        (Precision.FP32, "sm86", "no 2:4 kernels for fp32"),
    ],
)
def test_sparsity_that_cannot_help_is_refused(precision, target, reason, samples, tmp_path):
    with pytest.raises(UnsupportedError, match=reason):
        compiled(
            halve(samples["mlp"], tmp_path), tmp_path, precision=precision, nm_sparsity=True, target=target
        )


def test_timing_cache_file_survives_builds(samples, tmp_path):
    cache = tmp_path / "new" / "timings"
    source = SourceModel(path=samples["cnn"].path, format="onnx")
    for _ in range(2):
        TrtBackend(cache).compile(source, CompileSettings(precision=Precision.FP16), None, tmp_path)
        assert cache.stat().st_size > 0
    assert sorted(p.name for p in cache.parent.iterdir()) == ["timings", "timings.lock"]


def test_weakly_typed_flavour_builds_too(samples):
    """G32 is for TensorRT before 10.12; the parser of today reads it as well."""
    graph = qdq_conv()
    assert check_qdq(graph) == ()
    assert build(graph.SerializeToString(), BuildOptions(precision=Precision.INT8, target="sm86")).data


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.parser])
def test_the_parser_refuses_what_our_rules_refuse(name):
    case = CASES[name]
    graph = qdq_conv(**case.change)
    assert any(case.rule in problem for problem in check_qdq(graph))
    with pytest.raises(UnsupportedError, match=case.parser):
        build(graph.SerializeToString(), BuildOptions(precision=Precision.INT8, target="sm86"))


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if not case.parser])
def test_what_the_parser_lets_pass_runs_in_int8_but_for_scales_per_channel_of_activations(name):
    """So no guard of our own is needed in front of the parser: our graphs have one scale per activation."""
    graph = qdq_conv(**CASES[name].change)
    plan = build(graph.SerializeToString(), BuildOptions(precision=Precision.INT8, target="sm89"))
    assert plan.layers is not None
    assert ("Int8" in plan.layers.summary) == (name != "activation per channel"), plan.layers.summary


def test_unknown_operator_is_named():
    node = helper.make_node("NoSuchOp", ["x"], ["y"], name="odd one")
    edges = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    graph = helper.make_graph([node], "g", edges[:1], edges[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(UnsupportedError, match=r"cannot read the model: .*odd one.*NoSuchOp"):
        build(model.SerializeToString(), BuildOptions(precision=Precision.FP32))


def _failure(samples, monkeypatch, add_profile):
    monkeypatch.setattr(trt_build, "add_profile", add_profile)
    data = onnx.load(samples["mlp"].path).SerializeToString()
    with pytest.raises(StageError, match="TensorRT: ") as caught:
        build(data, BuildOptions(precision=Precision.FP32))
    return caught.value


def test_missing_profile_fails_with_the_builders_words(samples, monkeypatch):
    error = _failure(samples, monkeypatch, lambda *_: None)
    assert "no optimization profile has been defined" in error.cause
    assert "[ERROR]" in error.log


def test_upside_down_profile_fails_with_the_builders_words(samples, monkeypatch):
    whole = trt_build.add_profile

    def upside_down(builder, network, config, _):
        whole(builder, network, config, (8, 4, 4))

    error = _failure(samples, monkeypatch, upside_down)
    assert "MIN" in error.log
    assert "OPT" in error.log


def test_free_axes_beside_the_batch_are_refused():
    edges = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", "length"]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", edges[:1], edges[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    with pytest.raises(UnsupportedError, match="'x' has free axes beside the batch"):
        build(model.SerializeToString(), BuildOptions(precision=Precision.FP32))


def test_fixed_batch_must_be_the_one_asked_for(tmp_path):
    weight = numpy_helper.from_array(np.ones((4, 4), dtype=np.float32), "w")
    edges = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 4]) for name in "xy"]
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "g", edges[:1], edges[1:], [weight])
    path = tmp_path / "fixed.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    source = SourceModel(path=path, format="onnx")
    into = tmp_path / "out"
    into.mkdir()
    TrtBackend().compile(source, CompileSettings(precision=Precision.FP32, batch=2), None, into)
    with pytest.raises(UnsupportedError, match="fixed batch 2; batch 4 is wanted"):
        TrtBackend().compile(source, CompileSettings(precision=Precision.FP32, batch=4), None, into)


@pytest.mark.parametrize("precision", [*EVERY, Precision.FP8])
def test_a_net_with_odd_operators_builds(precision, samples, tmp_path):
    """Resize has operands that stay float32; scalars come as Constant nodes; ranks and masks mix types."""
    artifact = compiled(samples["odd"], tmp_path, precision=precision, target="sm89")
    assert artifact.size_bytes > 10_000


def test_what_cannot_be_simulated_is_built_and_said(tmp_path):
    """Two nodes of one name, which TensorRT takes and ONNX Runtime does not."""
    weights = [numpy_helper.from_array(np.eye(8, dtype=np.float32), name) for name in "vw"]
    nodes = [
        helper.make_node("MatMul", [a, w], [b], name="n") for a, w, b in (("x", "v", "h"), ("h", "w", "y"))
    ]
    edges = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", 8]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", edges[:1], edges[1:], weights)
    path = tmp_path / "twice.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    source, data = SourceModel(path=path, format="onnx"), {"x": np.ones((4, 8), np.float32)}
    made = TrtBackend().compile(source, CompileSettings(precision=Precision.FP32), data, tmp_path)
    assert any(note.startswith("not simulated on the CPU: ") for note in made.notes)
    settings = CompileSettings(precision=Precision.INT8, target="sm89", check=False)
    assert (
        TrtBackend().compile(source, settings, data, tmp_path).weight_bytes["int8"] == 64
    )  # equal ones once


def test_availability_without_a_gpu_says_what_still_works():
    here = TrtBackend().availability()
    assert here.installed
    assert here.version.startswith("tensorrt_rtx 1.")
    assert "engines can be built but not run here" in here.reason


def test_opening_without_a_gpu_says_so(samples, tmp_path):
    artifact = compiled(samples["mlp"], tmp_path, precision=Precision.FP32)
    with pytest.raises(UnsupportedError, match="an engine needs an NVIDIA GPU to run: no NVIDIA driver"):
        TrtBackend().open(artifact.path, batch=4, threads=1)
