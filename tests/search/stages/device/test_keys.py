"""Golden keys: a change of what a key covers must be a decision, made here and in a version number."""

from dataclasses import replace

from paretune.backends.contract.backend import CompileSettings
from paretune.backends.measure.samples import LatencyPlan
from paretune.profiles.precision import Precision
from paretune.search.stages.device.keys import (
    compile_key,
    export_key,
    make_key,
    measure_key,
    score_key,
    spread_key,
)

SETTINGS = CompileSettings(precision=Precision.INT8, calibration_method="entropy")
PLAN = LatencyPlan(rounds=25, process_spread=0.0025)


def keys() -> dict[str, str]:
    return {
        "export": export_key("m" * 64, "onnx", 0, {"torch": "2.13.0"}),
        "compile": compile_key("ort", "1.31.1", SETTINGS, "e" * 64, ("c" * 64, 128, 0)),
        "make": make_key("maker", {"tool": "1"}, SETTINGS, "e" * 64, ("c" * 64, 128, 0)),
        "measure": measure_key("a" * 64, "r" * 64, "device", 1, 2, PLAN),
        "spread": spread_key("r" * 64, "device", 1, 2, PLAN),
        "score": score_key("a" * 64, "s" * 64, ("accuracy", "code"), 1, "avx2"),
    }


GOLDEN = {
    "export": "1f177f03f8605ddb",
    "compile": "da459994cc4fde7c",
    "make": "c0e500fb710944c5",
    "measure": "0dd1370730ad59f2",
    "spread": "d5e7c15611b3794d",
    "score": "ac162a24d943f73f",
}


def test_keys_are_what_they_were():
    assert {name: key[:16] for name, key in keys().items()} == GOLDEN


def test_every_setting_of_the_compiler_counts():
    first = compile_key("ort", "1", SETTINGS, "e", None)
    changes = [
        {"precision": Precision.FP16},
        {"batch": 2},
        {"calibration_method": "minmax"},
        {"per_channel": False},
        {"nm_sparsity": True},
        {"target": "sm86"},
        {"check": False},
        {"keep_float": ("conv1",)},
    ]
    others = {compile_key("ort", "1", replace(SETTINGS, **change), "e", None) for change in changes}
    others |= {compile_key("ort", "2", SETTINGS, "e", None), compile_key("tflite", "1", SETTINGS, "e", None)}
    others |= {
        compile_key("ort", "1", SETTINGS, "e", ("c", 8, 0)),
        compile_key("ort", "1", SETTINGS, "e", ("c", 9, 0)),
        compile_key("ort", "1", SETTINGS, "e", ("c", 8, 1)),
    }
    assert len(others | {first}) == len(changes) + 6


def test_options_count_where_there_are_any():
    told = (("spinning", "on"),)
    assert measure_key("a", "r", "one", 1, 1, PLAN, ()) == measure_key("a", "r", "one", 1, 1, PLAN)
    assert measure_key("a", "r", "one", 1, 1, PLAN, told) != measure_key("a", "r", "one", 1, 1, PLAN)
    assert score_key("a", "s", ("m",), 1, "these", told) != score_key("a", "s", ("m",), 1, "these")
    newer = replace(SETTINGS, options={"opset": "21"})
    assert compile_key("ort", "1", newer, "e", None) != compile_key("ort", "1", SETTINGS, "e", None)


def test_what_is_made_for_several_backends_belongs_to_its_maker():
    def key(maker="maker", tools="1", **change):
        return make_key(maker, {"tool": tools}, replace(SETTINGS, **change), "e", None)

    others = {key(maker="another"), key(tools="2"), key(batch=2), key(keep_float=("conv1",)), key()}
    assert len(others) == 5
    assert key(check=False) == key()


def test_the_batch_counts_only_where_the_format_fixes_it():
    assert export_key("m", "tflite", 1, {}) != export_key("m", "tflite", 8, {})


def test_a_score_belongs_to_the_instruction_set_and_a_latency_to_the_device():
    assert score_key("a", "s", ("m", "c"), 1, "avx2") != score_key("a", "s", ("m", "c"), 1, "vnni")
    assert measure_key("a", "r", "one", 1, 1, PLAN) != measure_key("a", "r", "two", 1, 1, PLAN)
    fewer = replace(PLAN, processes=3)
    assert measure_key("a", "r", "one", 1, 1, PLAN) != measure_key("a", "r", "one", 1, 1, fewer)
    assert spread_key("r", "one", 1, 1, PLAN) != spread_key("r", "one", 1, 1, fewer)
