"""Stage "tune": once for a structure, from what others found, and nothing of it is lost."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.contract.tuning import Tuning
from paretune.backends.measure.samples import LatencyPlan
from paretune.backends.runner import client
from paretune.backends.runner.client import Guard
from paretune.backends.runner.launch import LocalLaunch
from paretune.backends.runner.leased import DeviceLease
from paretune.profiles.errors import StageError
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate
from paretune.search.record.stops import Interrupted
from paretune.search.stages.device.line import Line
from paretune.search.stages.device.runners import Deployment
from paretune.search.stages.device.stages import DeviceStages
from paretune.search.store.store import Entry, Store, content_key

pytestmark = pytest.mark.alone

TESTS = str(Path(__file__).resolve().parents[3])
CANDIDATE = Candidate(backend="tunable_backend:Tunable", precision=Precision.FP32)
DATA = {"x": np.zeros((6, 4), dtype=np.float32)}
THREE = ((4, 3), (3, 5), (5, 2))


def goes_on() -> None:
    """Nothing asks for a stop."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def exported(store: Store, *shapes: tuple[int, int]) -> Entry:
    """A chain of matrix products as the export stage would have written it."""

    def make(into: Path) -> dict[str, object]:
        names = ["x", *(f"h{number}" for number in range(1, len(shapes))), "y"]
        products = [
            helper.make_node("MatMul", [before, f"w{number}"], [after])
            for number, (before, after) in enumerate(pairwise(names))
        ]
        weights = [numpy_helper.from_array(np.ones(s, np.float32), f"w{n}") for n, s in enumerate(shapes)]
        ends = [("x", shapes[0][0]), ("y", shapes[-1][1])]
        x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size]) for name, size in ends)
        graph = helper.make_graph(products, "g", [x], [y], weights)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), into / "m.onnx")
        return {"file": "m.onnx", "format": "onnx"}

    return store.produce("export", content_key("export", 1, {"shapes": shapes}), {}, make)


def stages(store: Store, **budget: float) -> DeviceStages:
    return DeviceStages(
        store=store,
        deployment=Deployment(batch=2, threads=1, device="here", instructions="these"),
        lease=DeviceLease(LocalLaunch(path=(TESTS,))),
        line=Line(launch=LocalLaunch(path=(TESTS,)), guard=Guard()),
        plan=LatencyPlan(),
        announce=lambda stage: None,
        tuning=Tuning(**{"trials": 6, "seconds": 30.0, **budget}),
    )


def tune(
    store: Store, *shapes: tuple[int, int], meanwhile: Callable[[], None] = goes_on, **budget: float
) -> Entry:
    with closing(stages(store, **budget)) as device:
        return device.tuner.tuned(CANDIDATE, exported(store, *shapes), meanwhile)


def test_a_structure_is_tuned_once_and_compiled_with_what_was_found(store: Store) -> None:
    first, again = tune(store, *THREE), tune(store, *THREE)
    assert (first.cached, again.cached) == (False, True)
    assert first.meta["facts"] == {"tasks": 3, "tasks_known": 0, "trials": 6, "failed": 0}
    assert sorted(first.files) == ["found/3x5", "found/4x3", "found/5x2"]
    other = tune(store, *THREE, trials=9)
    assert other.key != first.key
    with closing(stages(store)) as device:
        source = exported(store, *THREE)
        tuned, plain = (
            device.compiled(CANDIDATE, source, (DATA, "data"), tuned=one, check=False)
            for one in (first, None)
        )
    props = {p.key: p.value for p in onnx.load(tuned.path / "model.tuned").metadata_props}
    assert float(props["factor"]) == 0.5
    assert tuned.key != plain.key


def test_what_others_found_is_not_tuned_again(store: Store) -> None:
    tune(store, *THREE)
    facts = tune(store, (4, 3), (3, 9)).meta["facts"]
    assert (facts["tasks"], facts["tasks_known"]) == (2, 1)
    assert tune(store, (7, 7), (7, 3), trials=5).meta["facts"]["tasks_known"] == 0
    assert tune(store, (3, 9), (9, 2), trials=5).meta["facts"]["tasks_known"] == 1
    for more in ({"trials": 7}, {"seconds": 31.0}):  # what had less to spend keeps nobody from finding more
        assert tune(store, (4, 3), (3, 8), **more).meta["facts"]["tasks_known"] == 0


def test_a_session_that_ends_in_the_middle_leaves_its_rounds_and_its_seconds(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARETUNE_TRIAL_S", "0.7")

    def stop() -> None:
        if len(list((store.root / ".work").glob("tune.*/found/*"))) >= 2:
            raise Interrupted("asked for")

    with pytest.raises(Interrupted):
        tune(store, *THREE, meanwhile=stop)
    assert not list(store.root.glob("tune/*"))
    monkeypatch.setenv("PARETUNE_TRIAL_S", "0")
    (work,) = (store.root / ".work").iterdir()
    kept = {path.name: path.read_text() for path in (work / "found").iterdir()}
    resumed = tune(store, *THREE)
    assert resumed.meta["facts"]["trials"] <= 6
    assert 2 <= len(kept) < 4
    assert {name: resumed.file(f"found/{name}").read_text() for name in kept} == kept
    assert resumed.meta["seconds"] > 1.0
    assert resumed.seconds < resumed.meta["seconds"]
    assert not work.exists()


@pytest.mark.parametrize("deed", ["hang 2", "crash 2"])
def test_what_was_found_before_it_hangs_or_crashes_is_used(
    store: Store, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    monkeypatch.setattr(client, "TUNE_MARGIN_S", 1.0)
    monkeypatch.setenv("PARETUNE_TUNE", deed)
    entry = tune(store, *THREE, seconds=1.0)
    assert len(entry.files) == 2
    assert entry.meta["note"]
    assert entry.meta["facts"] == {}


def test_a_tuning_that_finds_nothing_is_a_failure_that_is_not_repeated(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARETUNE_TUNE", "nothing")
    for _ in range(2):
        with pytest.raises(StageError) as failed:
            tune(store, *THREE)
        assert failed.value.stage == "tune"
        assert not failed.value.outside
        monkeypatch.setenv("PARETUNE_TUNE", "crash")  # nobody is asked again
    with pytest.raises(StageError, match="aborted"):
        tune(store, *THREE, trials=7)
    monkeypatch.delenv("PARETUNE_TUNE")
    assert tune(store, *THREE, trials=7).meta["facts"]["trials"] > 0  # a crash says nothing for good


def test_a_damaged_tuning_of_others_is_not_handed_on(store: Store) -> None:
    first = tune(store, *THREE)
    first.file("found/4x3").write_text(json.dumps("changed"))
    assert tune(store, (4, 3), (3, 9)).meta["facts"]["tasks_known"] == 0


def test_its_time_is_a_limit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARETUNE_TRIAL_S", "9")
    started = time.monotonic()
    entry = tune(store, *THREE, seconds=1.0)
    assert time.monotonic() - started < 20
    assert len(entry.files) == 1
