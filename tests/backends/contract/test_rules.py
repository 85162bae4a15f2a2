"""What each backend offers on each shipped device: the whole table, and the reasons that users read."""

from __future__ import annotations

import subprocess
import sys
import types

import pytest
from paretune.backends.contract.rules import offers_by, read_rules
from paretune.backends.registry import (
    nm_sparsity_offered,
    offered_precisions,
    offers,
    value_dependent,
)
from paretune.profiles.devices.loader import load_profile, shipped_profiles
from paretune.profiles.devices.schema import Gpu, Profile
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune_toy import ToyBackend

ORT = "fp32 fp16 int8 int8-dynamic int4-weight"
TFLITE = "fp32 fp16 int8 int8-dynamic int16x8 int4-weight"
OPENVINO = "fp32 fp16 int8 int8-weight int4-weight"
CPU_ONLY = {"ort": ORT, "tflite": TFLITE, "trt": "", "openvino": OPENVINO, "tvm": "fp32"}
ARM_WITH_HALF = {**CPU_ONLY, "tvm": "fp32 fp16"}
NO_CPU = {"ort": "", "tflite": "", "openvino": "", "tvm": ""}
GOLDEN = {
    "x86-avx2": CPU_ONLY,
    "x86-avx512-vnni": {**CPU_ONLY, "openvino": "fp32 fp16 int8 int8-dynamic int8-weight int4-weight"},
    "raspberry-pi-4": CPU_ONLY,
    "raspberry-pi-5": ARM_WITH_HALF,
    "pixel-8": ARM_WITH_HALF,
    "jetson-orin-nano": {**ARM_WITH_HALF, "trt": "fp32 fp16 int8 int4-weight 2:4"},
    "nvidia-t4": {**NO_CPU, "trt": "fp32 fp16 int8"},
    "nvidia-a10": {**NO_CPU, "trt": "fp32 fp16 bf16 int8 int4-weight 2:4"},
    "nvidia-h100": {**NO_CPU, "trt": "fp32 fp16 bf16 fp8 int8 int4-weight 2:4"},
    "nvidia-h200": {**NO_CPU, "trt": "fp32 fp16 bf16 fp8 int8 int4-weight 2:4"},
}
NAMES = ("ort", "tflite", "trt", "openvino", "tvm")
EVERYTHING = [str(precision) for precision in Precision if precision is not Precision.GIVEN] + ["2:4"]


def card(sm):
    return Profile(
        name="card", title="A card", gpu=Gpu(model="A card", sm=sm, source="made up for this test")
    )


def reason(backend, profile, what):
    return next(offer.reason for offer in offers(backend, profile) if offer.what == what)


def test_the_golden_table_covers_every_shipped_profile():
    assert set(GOLDEN) == set(shipped_profiles())


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("backend", NAMES)
def test_what_is_offered(name, backend):
    profile = load_profile(name)
    found = [offer.what for offer in offers(backend, profile) if offer.offered]
    assert found == GOLDEN[name][backend].split()
    assert offered_precisions(backend, profile) == tuple(Precision(what) for what in found if what != "2:4")
    assert nm_sparsity_offered(backend, profile).offered == ("2:4" in found)


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("backend", NAMES)
def test_rows_are_complete_and_every_refusal_has_a_reason(name, backend):
    rows = offers(backend, load_profile(name))
    assert [row.what for row in rows] in (EVERYTHING, ["all"])
    assert all(row.backend == backend for row in rows)
    for row in rows:
        assert row.offered or len(row.reason) > 15
        assert row.what != "all" or not row.offered


def test_a_backend_without_a_table_offers_its_own_precisions_everywhere():
    for name in shipped_profiles():
        assert [row.what for row in offers("toy", load_profile(name)) if row.offered] == EVERYTHING[:-1]


def test_reasons_read_as_promised():
    t4, pi, h100 = (load_profile(name) for name in ("nvidia-t4", "raspberry-pi-4", "nvidia-h100"))
    assert nm_sparsity_offered("trt", t4).reason == "2:4 sparsity: needs NVIDIA sm_80 or later"
    assert nm_sparsity_offered("trt", t4).what == "2:4"
    assert [offer.reason for offer in offers("trt", pi)] == ["TensorRT: needs an NVIDIA GPU"]
    assert nm_sparsity_offered("trt", pi).reason == "TensorRT: needs an NVIDIA GPU"
    assert "zeros would not make it faster" in nm_sparsity_offered("ort", pi).reason
    assert "zeros would not make it faster" in nm_sparsity_offered("tflite", pi).reason
    assert "this profile describes none" in offers("ort", h100)[0].reason
    assert "0.26 to 0.6 of the fp32 speed" in reason("ort", pi, "int16x8")
    assert reason("trt", t4, "fp8") == "fp8: needs NVIDIA sm_89 or later"
    assert "Jetson Orin" in reason("trt", load_profile("jetson-orin-nano"), "bf16")


def test_the_caution_about_saturation_is_for_x86_without_vnni_only():
    warned = [n for n in GOLDEN if GOLDEN[n]["ort"] and "saturate" in reason("ort", load_profile(n), "int8")]
    assert warned == ["x86-avx2"]


@pytest.mark.parametrize(
    ("sm", "expected"),
    [
        ("3.5", ""),
        ("5.2", "fp32"),
        ("5.3", ""),
        ("6.0", "fp32 fp16"),
        ("6.1", "fp32 int8"),
        ("6.2", ""),
        ("7.0", "fp32 fp16 int8"),
        ("7.2", "fp32 fp16 int8"),
        ("8.0", "fp32 fp16 bf16 int8 int4-weight 2:4"),
        ("8.7", "fp32 fp16 int8 int4-weight 2:4"),
        ("8.9", "fp32 fp16 bf16 fp8 int8 int4-weight 2:4"),
        ("10.0", "fp32 fp16 bf16 fp8 int8 int4-weight 2:4"),
        ("12.1", "fp32 fp16 bf16 fp8 int8 int4-weight 2:4"),
    ],
)
def test_tensorrt_follows_the_table_of_compute_capabilities(sm, expected):
    assert [offer.what for offer in offers("trt", card(sm)) if offer.offered] == expected.split()


def test_an_unknown_backend_is_refused():
    with pytest.raises(UserError, match=r"unknown backend 'tvm9'(?s:.*)ort, tflite, trt, openvino, tvm, "):
        offers("tvm9", load_profile("x86-avx2"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{runs_on: npu, precisions: {}}", "runs_on"),
        ("{runs_on: cpu, precisions: {}, nm_sparsity: {nevre: no}}", "mean 'never'"),
        ("{runs_on: cpu, precisions: {fp31: {}}}", "fp31"),
        ("{runs_on: cpu, device: [{if: {instructions: [avx9]}, reason: no}], precisions: {}}", "avx9"),
    ],
)
def test_rules_are_read_strictly(tmp_path, text, message):
    (tmp_path / "rules.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        read_rules(tmp_path / "rules.yaml")


def test_a_precision_may_need_an_instruction_set(tmp_path):
    needs = "{if: {instructions: [avx512_vnni, asimddp]}, reason: no dot product of 8-bit integers}"
    (tmp_path / "rules.yaml").write_text(f"{{runs_on: any, precisions: {{int8: {{needs: [{needs}]}}}}}}")
    rules = read_rules(tmp_path / "rules.yaml")
    names = ("x86-avx512-vnni", "raspberry-pi-5", "x86-avx2", "raspberry-pi-4", "nvidia-t4")
    found = [offers_by(rules, "mine", "Mine", load_profile(name)) for name in names]
    asked = [next(offer for offer in offers if offer.what == "int8") for offers in found]
    assert [offer.offered for offer in asked] == [True, True, False, False, False]
    assert {offer.reason for offer in asked} == {"", "no dot product of 8-bit integers"}


def test_what_rules_do_not_list_is_refused_with_a_sentence(tmp_path):
    (tmp_path / "rules.yaml").write_text("{runs_on: cpu, precisions: {fp32: {}, int8: {}}}")
    rules = read_rules(tmp_path / "rules.yaml")
    rows = offers_by(rules, "mine", "My runtime", load_profile("raspberry-pi-5"))
    assert [row.what for row in rows] == EVERYTHING
    assert [row.what for row in rows if row.offered] == ["fp32", "int8"]
    assert rows[-1].reason == "My runtime does not offer 2:4"
    (nowhere,) = offers_by(rules, "mine", "My runtime", load_profile("nvidia-t4"))
    assert nowhere.reason == "needs a cpu, and this profile describes none"


@pytest.mark.parametrize(
    ("backend", "expected"),
    [("ort", []), ("tflite", []), ("trt", ["2:4"]), ("openvino", []), ("toy", [])],
)
def test_where_latency_depends_on_the_values_of_weights(backend, expected):
    assert list(value_dependent(backend, load_profile("x86-avx512-vnni"))) == expected


def test_a_dependence_on_values_comes_with_its_reason():
    host = load_profile("x86-avx512-vnni")
    assert "picks sparse kernels by what it finds" in value_dependent("trt", host)["2:4"]
    with pytest.raises(UserError, match="unknown backend 'tvm9'"):
        value_dependent("tvm9", host)


def test_a_dependence_on_values_may_be_some_processors_alone():
    host = load_profile("x86-avx512-vnni")
    amx = (*host.cpu.instruction_sets, "amx_tile", "amx_int8")
    with_amx = host.model_copy(update={"cpu": host.cpu.model_copy(update={"instruction_sets": amx})})
    assert "AMX" in value_dependent("openvino", with_amx)["unstructured"]


class ZeroSkipping(ToyBackend):
    """A runtime of the user's own that skips zeros."""

    value_dependent = {"unstructured": "its kernels skip zeros"}


def test_a_backend_of_the_users_own_says_it_itself(monkeypatch):
    own = types.ModuleType("own_runtime")
    own.ZeroSkipping, own.ToyBackend = ZeroSkipping, ToyBackend
    monkeypatch.setitem(sys.modules, "own_runtime", own)
    host = load_profile("x86-avx2")
    assert value_dependent("own_runtime:ZeroSkipping", host) == {"unstructured": "its kernels skip zeros"}
    assert value_dependent("own_runtime:ToyBackend", host) == {}


def test_planning_loads_no_runtime():
    code = (
        "import sys\n"
        "from paretune.backends.registry import offers, value_dependent\n"
        "from paretune.profiles.devices.loader import load_profile, shipped_profiles\n"
        "for name in shipped_profiles():\n"
        "    for backend in ('ort', 'tflite', 'trt', 'openvino', 'toy'):\n"
        "        offers(backend, load_profile(name))\n"
        "        value_dependent(backend, load_profile(name))\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "paretune" in loaded
    assert not loaded & {
        "onnxruntime",
        "onnx",
        "torch",
        "tensorrt",
        "tensorrt_rtx",
        "ai_edge_litert",
        "tflite_runtime",
        "openvino",
    }
