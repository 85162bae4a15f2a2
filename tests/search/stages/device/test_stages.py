"""Compile and score with a real runtime: what the entries hold, and a metric that gives no number."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.measure.samples import LatencyPlan
from paretune.backends.ort.backend import OrtBackend
from paretune.backends.runner.client import Guard, RunnerClient
from paretune.backends.runner.launch import LocalLaunch
from paretune.backends.runner.leased import DeviceLease
from paretune.profiles.errors import StageError
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate
from paretune.search.record.setting import Setting
from paretune.search.record.treatment import UNTREATED, Treatment
from paretune.search.stages.device.calibration_samples import drawn
from paretune.search.stages.device.left_open import LeftOpen
from paretune.search.stages.device.line import Line
from paretune.search.stages.device.runners import Deployment
from paretune.search.stages.device.stages import DeviceStages
from paretune.search.store.store import Entry, Store, content_key
from paretune.search.workload.workload import ACCURACY, Metric, Split

WEIGHTS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)
DATA = {"x": np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)}
CANDIDATE = Candidate(backend="ort", precision=Precision.FP32)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def stages(store: Store) -> Iterator[DeviceStages]:
    made = DeviceStages(
        store=store,
        deployment=Deployment(batch=2, threads=1, device="here", instructions="these"),
        lease=DeviceLease(LocalLaunch()),
        line=Line(launch=LocalLaunch(), guard=Guard()),
        plan=LatencyPlan(),
        announce=lambda stage: None,
    )
    yield made
    made.close()


def exported(store: Store) -> Entry:
    """y = x @ WEIGHTS as the export stage would have written it."""

    def make(into: Path) -> dict[str, object]:
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
            [numpy_helper.from_array(WEIGHTS, "w")],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 8
        onnx.save(model, into / "model.onnx")
        return {"file": "model.onnx", "format": "onnx"}

    return store.produce("export", content_key("export", 1, {}), {}, make)


def test_a_compiled_entry_has_what_the_artifact_gives_for_its_sample(
    store: Store, stages: DeviceStages
) -> None:
    entry = stages.compiled(CANDIDATE, exported(store), (DATA, "data"))
    assert (entry.meta["sample"], entry.meta["expected"]) == ("sample.npz", "expected.npz")
    with np.load(entry.path / "sample.npz") as sample, np.load(entry.path / "expected.npz") as expected:
        np.testing.assert_array_equal(sample["x"], DATA["x"][:2])
        np.testing.assert_allclose(expected["y"], DATA["x"][:2] @ WEIGHTS, rtol=1e-5)


def test_what_is_compiled_for_another_processor_is_opened_on_the_device(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OrtBackend, "runs_here", lambda self, target: target != "another")
    started: list[str] = []

    class Device(LocalLaunch):
        def command(self, arguments: Sequence[str]) -> list[str]:
            started.append("runner")
            return super().command(arguments)

    for targets, wanted in (({}, False), ({"ort": "another"}, True)):
        deployment = Deployment(batch=2, threads=1, device="here", instructions="these", targets=targets)
        made = DeviceStages(
            store=store,
            deployment=deployment,
            lease=DeviceLease(Device()),
            line=Line(launch=Device(), guard=Guard()),
            plan=LatencyPlan(),
            announce=lambda stage: None,
        )
        with closing(made):
            entry = made.compiled(CANDIDATE, exported(store), (DATA, "data"))
        assert entry.meta["expected"] == "expected.npz"
        assert bool(started) is wanted


def test_an_untrained_one_goes_nowhere_and_has_none(store: Store, stages: DeviceStages) -> None:
    entry = stages.compiled(CANDIDATE, exported(store), (DATA, "data"), check=False)
    assert entry.meta["expected"] == ""
    assert not (entry.path / "expected.npz").exists()


def test_what_several_backends_compile_from_is_made_once(store: Store, stages: DeviceStages) -> None:
    int8 = replace(CANDIDATE, precision=Precision.INT8, calibration_method="minmax", calibration_samples=0)
    source = exported(store)
    first = stages.compiled(int8, source, (DATA, "data"))
    second = stages.compiled(int8, source, (DATA, "data"), check=False)
    (made,) = (store.root / "make").iterdir()
    assert store.get("make", made.name).meta == {"file": "made.npz"}
    assert first.key != second.key
    assert first.file("model.onnx").read_bytes() == second.file("model.onnx").read_bytes()
    assert first.meta["artifact"]["stored_as"] == second.meta["artifact"]["stored_as"] == {"w": "int8"}


def test_a_metric_that_gives_no_number_fails_the_candidate(store: Store, stages: DeviceStages) -> None:
    """A NaN in the record would make the whole study unreadable: JSON has none."""
    compiled = stages.compiled(CANDIDATE, exported(store), (DATA, "data"))
    split = Split(inputs=DATA, labels=np.zeros(6, np.int64))
    empty = Metric(name="correlation", function=lambda outputs, labels: float("nan"))
    with pytest.raises(StageError, match="the metric 'correlation' gave nan"):
        stages.scored(compiled, "ort", split, "split", empty)


def test_a_runner_that_waits_for_a_score_ends_where_that_is_known(
    store: Store, stages: DeviceStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled, waiting = stages.compiled(CANDIDATE, exported(store), (DATA, "data")), []
    asked = (compiled, "ort", Split(inputs=DATA, labels=np.zeros(6, np.int64)), "split", ACCURACY)
    stages.set_reference(compiled, CANDIDATE)
    stages.scored(*asked)
    leave = LeftOpen.leave

    def left(self: LeftOpen, artifact: str, how: Setting, runner: RunnerClient, first_ms: float) -> None:
        waiting.append(runner)
        leave(self, artifact, how, runner, first_ms)

    monkeypatch.setattr(LeftOpen, "leave", left)
    stages.plan = LatencyPlan(rounds=1, min_rounds=1, block_ms=1, warm_up_s=0, warm_up_limit_s=0)
    stages.measured(compiled, "ort", leave_open=True)
    assert [runner.ended for runner in waiting] == [None]
    stages.scored(*asked)
    assert waiting[0].ended is not None


def test_a_finalist_that_no_longer_opens_is_left_out_and_the_others_are_measured(
    store: Store, stages: DeviceStages
) -> None:
    good = stages.compiled(CANDIDATE, exported(store), (DATA, "data"))
    bad = stages.compiled(CANDIDATE, exported(store), (DATA, "data"), check=False)
    (bad.path / bad.meta["file"]).write_bytes(b"no model any more")
    stages.set_reference(good, CANDIDATE)
    plan = LatencyPlan(rounds=1, min_rounds=1, block_ms=1, warm_up_s=0, warm_up_limit_s=0)
    rounds = stages.interleaved({"1": (bad, "ort"), "2": (good, "ort")}, plan)
    assert set(rounds.failed) == {"1"}
    assert rounds.series["2"].blocks
    with pytest.raises(StageError):
        stages.interleaved({"1": (bad, "ort")}, plan)


@pytest.mark.slow
def test_one_artifact_is_timed_by_several_settings_in_the_same_rounds(
    store: Store, stages: DeviceStages
) -> None:
    usual, eight = stages.deployment.usual, Setting(threads=1, batch=8)
    source = exported(store)
    one = stages.compiled(CANDIDATE, source, (DATA, "data"), setting=usual)
    assert one.key == stages.compiled(CANDIDATE, source, (DATA, "data")).key
    other = stages.compiled(CANDIDATE, source, (DATA, "data"), setting=eight)
    stages.set_reference(one, CANDIDATE)
    plan = LatencyPlan(rounds=1, min_rounds=1, block_ms=1, warm_up_s=0, warm_up_limit_s=0, processes=1)
    plain = replace(usual, options=(("graph_optimization", "disable"),))
    wrong = replace(usual, options=(("graph_optimization", "no such level"),))
    rounds = stages.interleaved(
        {"usual": (one, "ort"), "plain": (one, "ort"), "eight": (other, "ort"), "wrong": (one, "ort")},
        plan,
        {"plain": plain, "eight": eight, "wrong": wrong},
    )
    assert {name for name, series in rounds.series.items() if series.blocks} >= {"usual", "plain", "eight"}
    assert "no such level" in rounds.failed["wrong"][1]
    with pytest.raises(StageError, match="batch 8, asked for 2"):
        stages.measured(other, "ort")


INT8 = Candidate(backend="toy", precision=Precision.INT8, calibration_method="minmax", calibration_samples=3)


def drawn_rows(candidate: Candidate, treatment: Treatment) -> list[int]:
    """Which of ten numbered samples are taken."""
    taken = drawn({"x": np.arange(10)}, candidate, treatment)
    return [int(row) for row in taken.data["x"]]


def test_a_draw_is_random_seeded_and_without_replacement() -> None:
    assert drawn_rows(INT8, UNTREATED) == [0, 1, 2]
    first, second = (drawn_rows(INT8, Treatment(calibration_draw=draw)) for draw in (1, 2))
    assert len({*first}) == len({*second}) == 3
    assert first == drawn_rows(INT8, Treatment(calibration_draw=1)) != second
    assert len(drawn_rows(INT8, Treatment(calibration_samples=5))) == 5


def test_a_draw_of_all_samples_and_of_none_is_no_draw() -> None:
    numbers = {"x": np.arange(10)}
    whole = drawn(numbers, INT8, Treatment(calibration_samples=10, calibration_draw=1))
    assert (whole.draw, list(whole.data["x"])) == (0, list(range(10)))
    dynamic = replace(INT8, precision=Precision.INT8_DYNAMIC)
    taken = drawn(numbers, dynamic, Treatment(calibration_draw=1))
    assert (taken.count, taken.draw, len(taken.data["x"])) == (0, 0, 10)


def test_treatments_lead_to_artifacts_of_their_own(store: Store, stages: DeviceStages) -> None:
    source = exported(store)

    def key(treatment: Treatment) -> str:
        return stages.compiled(INT8, source, (DATA, "data"), treatment=treatment).key

    untreated = key(UNTREATED)
    treatments = (
        Treatment(calibration_method="entropy"),
        Treatment(calibration_samples=4),
        Treatment(calibration_draw=1),
        Treatment(calibration_draw=2),
    )
    assert len({untreated, *map(key, treatments)}) == 5
    assert key(Treatment(calibration_method="minmax", calibration_samples=3)) == untreated
    assert key(Treatment(calibration_samples=6, calibration_draw=2)) == key(Treatment(calibration_samples=6))


def test_the_compressed_size_is_that_of_the_file(store: Store, stages: DeviceStages) -> None:
    entry = stages.compiled(CANDIDATE, exported(store), (DATA, "data"))
    content = (entry.path / entry.meta["file"]).read_bytes()
    assert entry.meta["compressed_bytes"] == len(zlib.compress(content, 9))
    assert "compressed_bytes" not in stages.compiled(CANDIDATE, exported(store), (DATA, "data"), False).meta
