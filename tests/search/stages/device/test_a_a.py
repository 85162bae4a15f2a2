"""The A/A of the reference, with a real runtime: taken once, and what single processes are widened by."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.lease.quiet import Quiet
from paretune.backends.measure.samples import PROCESSES, REFERENCE, LatencyPlan
from paretune.backends.measure.spread import Spread
from paretune.backends.measure.summary import summarize
from paretune.backends.registry import get_backend
from paretune.backends.runner.client import Guard
from paretune.backends.runner.launch import LocalLaunch, SshLaunch
from paretune.backends.runner.leased import DeviceLease
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate
from paretune.search.stages.device import runners
from paretune.search.stages.device.a_a import read_rounds
from paretune.search.stages.device.line import Line
from paretune.search.stages.device.runners import Deployment, several_fit
from paretune.search.stages.device.stages import CANDIDATE, DeviceStages
from paretune.search.store.store import Entry, Store, content_key

pytestmark = pytest.mark.alone

PLAN = LatencyPlan(rounds=10, block_ms=1.0, warm_up_s=0.0)
DATA = {"x": np.random.default_rng(0).normal(size=(2, 64)).astype(np.float32)}
FP32 = Candidate(backend="ort", precision=Precision.FP32)


def exported(store: Store) -> Entry:
    def make(into: Path) -> dict[str, object]:
        weights = np.random.default_rng(1).normal(size=(64, 64)).astype(np.float32)
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 64])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 64])],
            [numpy_helper.from_array(weights, "w")],
        )
        onnx.save(
            helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), into / "m"
        )
        return {"file": "m", "format": "onnx"}

    return store.produce("export", content_key("export", 1, {}), {}, make)


class Bench:
    """Stages on a store, with what they announced."""

    def __init__(self, root: Path, *, threads: int = 1, pinned: bool = True) -> None:
        self.announced: list[str] = []
        self.store = Store(root)
        self.stages = DeviceStages(
            store=self.store,
            deployment=Deployment(batch=1, threads=threads, device="here", instructions="these"),
            lease=DeviceLease(LocalLaunch()),
            line=Line(launch=LocalLaunch(), guard=Guard()),
            plan=PLAN,
            announce=self.announced.append,
            pinned=pinned,
        )
        self.artifact = self.stages.compiled(FP32, exported(self.store), (DATA, "data"), check=False)
        self.stages.set_reference(self.artifact, FP32)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path / "store")
    yield made
    made.stages.close()


def test_the_a_a_is_taken_once_and_then_answered_from_the_store(bench: Bench) -> None:
    first = bench.stages.timing
    assert first.processes == PROCESSES
    assert first.cores == (max(os.sched_getaffinity(0)),)
    assert bench.stages.spread is not None
    assert bench.stages.spread.deviation == first.process_spread
    assert bench.announced.count("compare processes of the reference") == 1
    again = Bench(bench.store.root)
    try:
        assert again.stages.timing == first
        assert "compare processes of the reference" not in again.announced
    finally:
        again.stages.close()


def test_a_process_that_is_killed_from_outside_is_no_finding(bench: Bench) -> None:
    (alive,) = bench.stages._runners._reference_clients
    os.kill(alive.hello().pid, signal.SIGKILL)
    assert bench.stages.timing.processes == PROCESSES
    assert bench.announced.count("compare processes of the reference") == 2


def test_other_threads_and_another_plan_have_their_own(bench: Bench) -> None:
    assert bench.stages.timing.cores
    bench.stages.plan = replace(PLAN, block_ms=1.5)
    assert bench.stages.timing.cores
    assert bench.announced.count("compare processes of the reference") == 2


def test_a_candidate_is_measured_against_all_processes_of_the_reference(bench: Bench) -> None:
    rounds = read_rounds(bench.stages.measured(bench.artifact, "ort"))
    assert [block.process for block in rounds.series[REFERENCE].blocks] == [0, 1, 2, 3, 4] * 2
    assert rounds.series[CANDIDATE].processes == 1
    ends = [
        summarize(rounds, CANDIDATE, Spread(deviation=deviation, processes=5)).latency_ms.ends
        for deviation in (0.5, 1.0)
    ]
    assert ends[1][0] < ends[0][0] < ends[0][1] < ends[1][1]


def test_a_device_that_cannot_hold_processes_on_cores_says_so(tmp_path: Path) -> None:
    free = Bench(tmp_path / "store", pinned=False)
    try:
        assert free.stages.timing.cores == ()
    finally:
        free.stages.close()


def test_one_process_where_memory_is_short(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runners, "several_fit", lambda sizes, processes, free=None: False)
    assert bench.stages.timing.processes == 0
    assert bench.stages.spread is None
    rounds = read_rounds(bench.stages.measured(bench.artifact, "ort"))
    assert rounds.series[REFERENCE].processes == 1
    ratio = summarize(rounds, CANDIDATE, None).ratio
    assert ratio is not None
    assert ratio.ends[0] < ratio.value * (1 - PLAN.process_spread)


def test_several_processes_need_their_memory() -> None:
    assert several_fit([1_000_000], PROCESSES, free_bytes=2_000_000_000)
    assert not several_fit([100_000_000], PROCESSES, free_bytes=2_000_000_000)
    assert several_fit([100_000_000], 1, free_bytes=2_000_000_000)


def test_as_many_processes_as_are_wanted_each_number_with_its_own_a_a(bench: Bench) -> None:
    bench.stages.plan = replace(PLAN, processes=3)
    assert bench.stages.timing.processes == 3
    bench.stages.plan = PLAN
    assert bench.stages.timing.processes == PROCESSES
    bench.stages.plan = replace(PLAN, processes=3)
    rounds = read_rounds(bench.stages.measured(bench.artifact, "ort"))
    assert rounds.series[REFERENCE].processes == 3
    assert bench.announced.count("compare processes of the reference") == 2


def test_of_another_device_no_more_is_taken_than_others_have_left(bench: Bench, monkeypatch) -> None:
    found, (first,) = bench.stages._runners, bench.stages._runners._reference_clients
    monkeypatch.setattr(found, "launch", SshLaunch(host="board"))
    for free, fits in ((None, True), (10**12, True), (10**8, False), (0, False)):
        monkeypatch.setattr(runners, "free_memory", lambda runner, free=free: free)
        assert found._several_fit(first, 2) == fits


def test_who_waits_for_the_device_lets_others_measure_here(bench: Bench, monkeypatch) -> None:
    beside = []

    def measure() -> None:
        one = Quiet(longest_s=0.2)
        one.begin()
        beside.append(one.beside)
        one.end()

    @contextmanager
    def held() -> Iterator[None]:
        measuring = threading.Thread(target=measure)
        measuring.start()
        measuring.join()
        yield

    monkeypatch.setattr(bench.stages.lease, "held_elsewhere", held)
    monkeypatch.setattr(type(get_backend("ort")), "runs_here", lambda self, target: False)
    bench.stages.compiled(FP32, exported(bench.store), (DATA, "data"))
    assert beside == [""]
