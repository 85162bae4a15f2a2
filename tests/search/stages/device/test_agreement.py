"""The same file in two processes, of which one computes wrongly: what is compared, when, and what is kept."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.measure.samples import LatencyPlan
from paretune.backends.ort.backend import OrtBackend
from paretune.backends.runner.client import Guard
from paretune.backends.runner.launch import LocalLaunch
from paretune.backends.runner.leased import DeviceLease
from paretune.profiles.errors import StageError
from paretune.profiles.precision import Precision
from paretune.search.record.agreement import FLOAT_MODEL, ComputesWronglyError
from paretune.search.record.candidate import Candidate
from paretune.search.stages.device import agreement
from paretune.search.stages.device.judged import judged
from paretune.search.stages.device.line import Line
from paretune.search.stages.device.remote import Asked, RemoteDevice
from paretune.search.stages.device.runners import Deployment
from paretune.search.stages.device.stages import DeviceStages
from paretune.search.store.store import Store, content_key
from paretune.search.workload.metrics import ACCURACY
from paretune.search.workload.outputs import OutputChoice, only
from paretune.search.workload.workload import Split
from wrong_there import NAME

RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=(4, 3)).astype(np.float32)
DATA = {"x": RNG.normal(size=(40, 4)).astype(np.float32)}
SPLIT = Split(inputs={"x": DATA["x"][:8]}, labels=np.zeros(8, np.int64))
SLOW = pytest.mark.slow


class Board:
    """The stages on a "device" whose runners have `PARETUNE_WRONG` set; counts what is announced."""

    def __init__(self, store: Store, wrong: str = "", version: str = "2", saturates: bool = False) -> None:
        self.announced: list[str] = []
        launch = LocalLaunch(variables={"PARETUNE_WRONG": wrong})
        told = {"machine": "aarch64", "packages": {"paretune-toy": version}}
        asked = Asked(data=DATA, digest="data", outputs=only("y"))
        remote = RemoteDevice(environment=told, asked=lambda: asked, saturates_otherwise=saturates)
        self.store = store
        self.stages = DeviceStages(
            store=store,
            deployment=Deployment(batch=2, threads=1, device="board", instructions="these", remote=remote),
            lease=DeviceLease(launch),
            line=Line(launch=launch, guard=Guard()),
            plan=LatencyPlan(rounds=9, processes=1),
            announce=self.announced.append,
        )

    def compiled(self, precision, check=True, backend=NAME):
        candidate = Candidate(backend=backend, precision=precision, calibration_samples=16)
        return self.stages.compiled(candidate, exported(self.store), (DATA, "data"), check)

    def score(self, compiled):
        return self.stages.scored(compiled, NAME, SPLIT, "split", ACCURACY)

    @property
    def comparisons(self):
        return self.announced.count("compare with this machine")


def exported(store):
    def make(into: Path):
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


@pytest.fixture
def board(tmp_path):
    opened = []

    def board(**how):
        opened.append(Board(Store(tmp_path / "store"), **how))
        return opened[-1]

    yield board
    for one in opened:
        one.stages.close()


@SLOW
def test_an_artifact_is_compared_once_for_each_setting_that_it_is_run_by(board):
    device = board()
    compiled = device.compiled(Precision.FP32, backend="ort")
    usual = device.stages.deployment.usual
    plain = replace(usual, options=(("graph_optimization", "disable"),))
    for setting, count in ((None, 1), (usual, 1), (plain, 2), (plain, 2)):
        assert device.stages.agreements.settled(compiled, "ort", setting=setting).agrees
        assert device.comparisons == count
    assert board().stages.agreements.settled(compiled, "ort", setting=plain).agrees


@SLOW
def test_a_device_that_computes_rightly_is_asked_once_for_each_artifact_and_version(board):
    first = board()
    compiled = first.compiled(Precision.INT8)
    first.score(compiled)
    found = first.stages.agreements.settled(compiled, NAME)
    assert (found.agrees, found.samples, found.flipped, found.off) == (True, 40, 0, 0.0)
    assert dict(found.there) == {"paretune-toy": "2"}
    assert first.comparisons == 1
    again = board()
    assert again.stages.agreements.settled(compiled, NAME) == found
    assert again.comparisons == 0, "the store knows"
    spoiled = board(wrong="int8 noise")
    with pytest.raises(ComputesWronglyError):
        spoiled.stages.scored(compiled, NAME, SPLIT, "another split", ACCURACY)
    assert spoiled.comparisons == 1, "whatever the store knows, the process that scores is asked"
    first.score(compiled)
    assert first.announced.count("score") == 1
    board(version="3").score(compiled)
    assert len(list((first.store.root / "score").glob("*/manifest.json"))) == 2, "of another runtime"
    updated = board(version="4", wrong="int8 noise")
    with pytest.raises(ComputesWronglyError):
        updated.score(compiled)
    assert updated.comparisons == 1


@SLOW
@pytest.mark.parametrize("how", ["noise", "swap", "nan"])
def test_wrong_outputs_are_the_devices_and_give_no_score(board, how):
    device = board(wrong=f"int8 {how}")
    compiled = device.compiled(Precision.INT8)
    with pytest.raises(ComputesWronglyError) as caught:
        device.score(compiled)
    error = caught.value
    assert isinstance(error, StageError)
    assert (error.disagrees, error.outside) == (False, False), "no ladder mends it, and no second try"
    assert not error.agreement.agrees
    assert error.agreement.samples == 40
    assert ("NaN" in error.cause) == (how == "nan")
    assert "paretune-toy 2 there" in error.cause
    assert not list((device.store.root / "score").glob("*/manifest.json"))
    with pytest.raises(ComputesWronglyError):
        device.stages.measured(compiled, NAME)
    assert device.comparisons == 2, "what failed is asked anew: the device may be mended"
    other = device.compiled(Precision.FP32)
    assert device.score(other).meta["samples"] == 8, "each artifact answers for itself"


@SLOW
def test_the_reference_is_compared_before_anything_else(board):
    device = board(wrong="fp32 swap")
    compiled = device.compiled(Precision.FP32)
    with pytest.raises(ComputesWronglyError):
        device.stages.set_reference(compiled, Candidate(backend=NAME, precision=Precision.FP32))


@SLOW
def test_untrained_weights_and_this_machine_are_not_compared(board, tmp_path):
    device = board(wrong="int8 noise")
    untrained = device.compiled(Precision.INT8, check=False)
    assert device.stages.agreements.settled(untrained, NAME) is None
    compiled = device.compiled(Precision.INT8)
    here = DeviceStages(
        store=device.store,
        deployment=Deployment(batch=2, threads=1, device="here", instructions="these"),
        lease=DeviceLease(LocalLaunch()),
        line=Line(launch=LocalLaunch(), guard=Guard()),
        plan=LatencyPlan(),
        announce=device.announced.append,
    )
    with closing(here):
        assert here.agreements.settled(compiled, NAME) is None
    assert device.comparisons == 0


@SLOW
def test_arithmetic_that_saturates_on_one_of_both_is_told_and_no_fault(board):
    device = board(wrong="int8 slightly", saturates=True)
    compiled = device.compiled(Precision.INT8)
    device.score(compiled)
    found = device.stages.agreements.settled(compiled, NAME)
    assert found.agrees
    assert found.known
    with pytest.raises(ComputesWronglyError):
        board(wrong="int8 slightly", version="3").score(compiled)
    with pytest.raises(ComputesWronglyError):
        board(wrong="int8 swap", version="4", saturates=True).score(compiled)


@SLOW
def test_what_runs_on_the_device_alone_is_held_against_the_float_model(board, monkeypatch):
    monkeypatch.setattr(OrtBackend, "runs_here", lambda self, target: False)
    device = board()
    compiled = device.compiled(Precision.FP32, backend="ort")
    found = device.stages.agreements.settled(compiled, "ort")
    assert (found.agrees, found.against, found.samples) == (True, FLOAT_MODEL, 40)
    assert board().stages.agreements.settled(compiled, "ort") == found


def outputs(count=40, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)


def test_a_wrong_file_that_runs_on_the_device_alone_accuses_nobody():
    wanted = {"y": outputs()}
    found = judged({"precision": "fp32"}, wanted, [{"y": outputs(seed=1)}], only("y"), by_float=True)
    assert (found.agrees, found.against) == (False, FLOAT_MODEL)
    assert "cannot be told apart" in ComputesWronglyError(found).cause
    coarse = [{"y": wanted["y"] + 0.2 * outputs(seed=1)}]
    assert judged({"precision": "int8"}, wanted, coarse, only("y"), by_float=True).agrees


TWO = OutputChoice(names=("boxes", "scores"), primary="scores", scored=("scores", "boxes"), as_array=False)


@pytest.mark.parametrize(
    ("there", "word"),
    [
        ({"boxes": outputs(seed=1), "scores": outputs()}, ""),
        ({"boxes": outputs(), "scores": outputs(seed=1)}, "boxes"),  # in the other's place
        ({"boxes": outputs(seed=1)[:, :2], "scores": outputs()}, "boxes"),
        ({"boxes": outputs(seed=1)[:20], "scores": outputs()}, "boxes"),
        ({"boxes": outputs(seed=1).astype(int), "scores": outputs()}, "boxes"),
        ({"box": outputs(seed=1), "scores": outputs()}, "boxes"),
        ({}, "boxes"),
    ],
)
def test_any_output_that_counts_may_accuse(there, word):
    here = {"boxes": outputs(seed=1), "scores": outputs()}
    found = judged({"precision": "fp32"}, here, [there], TWO)
    assert found.agrees is not bool(word)
    assert word in found.why
    assert word in found.output or word in found.why


def test_outputs_that_do_not_count_and_have_other_rows_disturb_nothing():
    choice = OutputChoice(names=("scores", "anchors"), primary="scores", scored=("scores",))
    here = {"scores": outputs(), "anchors": outputs(8400)}
    parts = [
        {"scores": outputs()[:4], "anchors": outputs(90)},
        {"scores": outputs()[4:9], "anchors": outputs(9)},
    ]
    found = judged({"precision": "int8"}, here, parts, choice)
    assert (found.agrees, found.samples) == (True, 9)


class Slow:
    """A runner whose inference takes so many seconds by a clock of its own."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.now, self.requests = seconds, 0.0, []

    def monotonic(self):
        return self.now

    def infer(self, part):
        count = len(part["x"])
        self.requests.append(count)
        self.now += 0.05 + count * self.seconds
        return {"y": part["x"]}


@pytest.mark.parametrize(
    ("seconds", "least", "most_s"), [(1e-4, 256, 2), (0.05, 256, 20), (0.367, 40, 25), (3.0, 16, 55)]
)
def test_a_slow_board_computes_fewer_samples(monkeypatch, seconds, least, most_s):
    board = Slow(seconds)
    monkeypatch.setattr(agreement.time, "monotonic", board.monotonic)
    data = {"x": np.arange(300, dtype=np.float32)}
    parts = agreement.computed(board, data, batch=1)
    assert sum(board.requests) >= least
    assert board.now <= most_s
    together = np.concatenate([part["y"] for part in parts])
    np.testing.assert_array_equal(together, data["x"][: len(together)])
