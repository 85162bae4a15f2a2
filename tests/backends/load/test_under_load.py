"""What a device tells of a run under load: bounded, foreign data, with intervals that count neighbours."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from paretune.backends.contract.backend import Session, TensorSpec
from paretune.backends.load.histogram import GROWTH, counted, spread_out
from paretune.backends.load.operation import load, told
from paretune.backends.load.under_load import UnderLoad, needed_samples
from paretune.backends.runner.loads import under_load
from paretune.backends.runner.reading import Reply
from paretune.profiles.errors import StageError

FEED = {"x": np.zeros((1, 2), np.float32)}


class Simulated(Session):
    inputs = outputs = (TensorSpec(name="x", dtype="float32", shape=(1, 2)),)
    simulated_ns = 1_000_000
    runs = 0

    def _run(self, feed: Any) -> Any:
        self.runs += 1
        return feed

    def close(self) -> None:
        pass


class Answering:
    """A runner that answers with the body that it was given, or as a session does."""

    def __init__(self, **changed: Any) -> None:
        self.changed, self.asked = changed, {}

    def ask(self, operation: str, seconds: float, body: Any, meanwhile: Any = None) -> Reply:
        self.asked = body
        told_body = json.loads(json.dumps({**load(Simulated(), FEED, 1, body), **self.changed}))
        return Reply(device="board", operation=operation, stage="measure", body=told_body)


def test_bins_never_tell_less_than_a_time_and_hardly_more() -> None:
    times = np.random.default_rng(0).lognormal(12, 4, 10_000).astype(np.int64)
    found = spread_out(counted(times))
    assert len(found) == len(times)
    ratio = found / np.maximum(np.sort(times), 1)
    assert ratio.min() >= 1 - 1e-9
    assert ratio.max() <= GROWTH * (1 + 1e-9)


def test_a_session_with_a_simulated_time_is_served_in_virtual_time() -> None:
    session = Simulated()
    found = load(session, FEED, 1, {"rate": 500.0, "arrivals": 50_000, "limit_s": 900})
    assert session.runs == 1
    assert found["served"] == 50_000
    assert found["seconds"] == pytest.approx(100, rel=1e-2)
    assert found["mean_ns"] == pytest.approx(1.5e6, rel=0.05)  # half loaded: waits for half a service
    assert len(json.dumps(found)) < 200_000


def test_back_to_back_a_session_of_a_batch_serves_so_many_times_as_much() -> None:
    found = load(Simulated(), FEED, 8, {"rate": 0, "arrivals": 800, "limit_s": 10})
    assert (found["runs"], found["seconds"]) == (100, 0.1)


@pytest.mark.parametrize("wrong", [{"arrivals": 0}, {"arrivals": 10**9}, {"rate": -1.0}, {"limit_s": 0.0}])
def test_a_load_that_has_no_end_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="is none"):
        load(Simulated(), FEED, 1, {"rate": 10.0, "arrivals": 10, "limit_s": 10.0, **wrong})


def test_what_a_runner_tells_is_what_it_was_under_load() -> None:
    runner = Answering()
    found = under_load(runner, 500.0, 10_000, 60.0, skip=1_000)  # type: ignore[arg-type]
    assert (found.served, found.kept_up, len(found.responses_ms)) == (10_000, True, 9_000)
    assert found.achieved == pytest.approx(500, rel=0.01)
    assert found.mean_ms == pytest.approx(1.5, rel=0.1)
    assert 1.0 <= found.percentile_ms(0.5) < found.percentile_ms(0.99)


@pytest.mark.parametrize(
    "changed",
    [
        {"served": 5},
        {"served": 10**7},
        {"segments": [[1]]},
        {"segments": [[5, 10**12]]},
        {"segments": [[-1, 4]]},
        {"segments": [["a", 4]]},
        {"late_ns": [1]},
        {"seconds": float("inf")},
        {"busy_ns": -4},
        {"mean_ns": None},
    ],
)
def test_nonsense_of_a_device_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(StageError):
        under_load(Answering(**changed), 500.0, 100, 60.0)  # type: ignore[arg-type]


def test_the_least_numbers_of_samples_are_those_of_mlperf() -> None:
    assert [needed_samples(share) for share in (0.5, 0.9, 0.99)] == [11, 64, 662]


def of(parts: list[np.ndarray]) -> UnderLoad:
    count = sum(map(len, parts))
    segments = tuple(np.sort(part) for part in parts)
    return UnderLoad(
        rate=1.0, arrivals=count, served=count, seconds=1.0, runs=count, busy_s=1.0, late_s=(0.0, 0.0, 0.0),
        mean_ms=1.0, segments=segments,
    )  # fmt: skip


def test_intervals_of_independent_times_hold_what_they_say() -> None:
    rng = np.random.default_rng(4)
    runs = [of(np.array_split(rng.exponential(1.0, 5_000), 24)) for _ in range(60)]
    inside = [low <= np.log(100) <= high for low, high in (one.interval_ms(0.99) for one in runs)]
    assert np.mean(inside) >= 0.88
    assert np.median([one.independent(0.99) for one in runs]) > 3_000


def test_requests_of_one_busy_time_count_for_few() -> None:
    rng = np.random.default_rng(4)
    parts = [rng.exponential(1.0, 200) + (5.0 if number == 7 else 0.0) for number in range(24)]
    assert of(parts).independent(0.99) < 200


def test_too_few_times_have_no_end_above() -> None:
    low, high = of([np.array([1.0, 2.0])] * 24).interval_ms(0.99)
    assert low <= 2.0
    assert high == np.inf


def test_what_is_told_of_a_run_skips_its_start() -> None:
    from paretune.backends.load.generator import Served

    served = Served(
        arrivals=np.array([0, 1, 2]), count=3, first=np.array([0, 1, 2]), begun=np.array([0, 10, 20]),
        ended=np.array([10, 20, 30]), late=np.array([], np.int64),
    )  # fmt: skip
    assert told(served, 2)["mean_ns"] == 28
    assert told(served, 5)["segments"] == []
