"""Estimates on a made profile: what was timed by hand corrects them, and what to time is spread out."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from paretune.profiles.devices.schema import Figure, Profile
from paretune.profiles.errors import InternalError
from paretune.profiles.precision import Precision
from paretune.search.ranking.estimated import ratio_of_estimates
from paretune.search.ranking.pareto import better
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.estimated import Brought
from paretune.search.stages.absent.estimates import DeviceEstimates
from paretune.search.stages.absent.stages import AbsentStages

BOARD = Profile.model_validate(
    {
        "name": "board",
        "title": "A board",
        "cpu": {
            "model": "Some core",
            "architecture": "aarch64",
            "cores": 4,
            "threads": 4,
            "instruction_sets": ("neon",),
            "source": "made up",
            "memory_bytes": {"value": "1 GiB", "source": "made up"},
            "bandwidth_gb_per_s": {"value": 8, "source": "made up"},
            "peaks_gop_per_s": {Precision.FP32: {"value": 40, "source": "made up"}},
        },
    }
)


def candidate(
    width: int, backend: str = "ort", precision: Precision = Precision.FP32, seed: int = 0
) -> Candidate:
    recipe = Recipe(epochs=1, seed=seed)
    return Candidate(backend=backend, precision=precision, student=(("width", width),), recipe=recipe)


@pytest.fixture
def structure(tmp_path: Path):
    """A product of matrices as wide as the candidate is."""

    def made(of: Candidate) -> Path:
        width = int(dict(of.student)["width"])
        weights = helper.make_tensor("w", TensorProto.FLOAT, [64, width], bytes(4 * 64 * width), raw=True)
        graph = helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["y"])],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 64])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", width])],
            [weights],
        )
        path = tmp_path / f"{width}.onnx"
        onnx.save(helper.make_model(graph), path)
        return path

    return made


def estimates(structure, *brought: Brought) -> DeviceEstimates:
    return DeviceEstimates(profile=BOARD, threads=1, batch=1, structure=structure, brought=brought)


def timed(of: Candidate, latency: float) -> Brought:
    return Brought(candidate=of, artifact="0" * 64, metrics={"latency_ms": latency}, source="board.csv")


def latency_of(known: DeviceEstimates, of: Candidate):
    return known.of(of)["latency_ms"]


def width(quantity) -> float:
    return quantity.high / quantity.low


def test_an_estimate_has_a_range_and_says_what_it_is(structure):
    small, large = (latency_of(estimates(structure), candidate(width)) for width in (64, 65536))
    assert small.is_estimate
    assert small.low < small.value < small.high
    assert large.value > small.value


def test_timings_of_some_correct_all_others(structure):
    wanted = candidate(30_000)
    before = latency_of(estimates(structure), wanted)
    slow = [
        timed(candidate(width), 40 * before.value * width / 30_000)
        for width in (20_000, 28_000, 36_000, 50_000)
    ]
    after = latency_of(estimates(structure, *slow), wanted)
    assert after.value > 3 * before.value
    assert width(after) < width(before) / 2
    assert after.is_estimate


def test_what_was_timed_itself_is_what_was_timed_whatever_its_weights(structure):
    known = estimates(structure, timed(candidate(512), 7.0), timed(candidate(512, seed=1), 8.0))
    found = latency_of(known, candidate(512, seed=2))
    assert found.value == 7.5
    assert found.low < 7 < 8 < found.high < 9
    assert found.is_estimate
    assert "board.csv" in found.how


def test_a_study_elsewhere_makes_estimates_surer(structure):
    other = BOARD.model_copy(update={"name": "other"})
    seen = [
        (candidate(width), other, 1, {"latency_ms": 0.01 + width / 20_000})
        for width in (5000, 10_000, 20_000, 40_000)
    ]
    alone = latency_of(estimates(structure), candidate(15_000))
    known = DeviceEstimates(profile=BOARD, threads=1, batch=1, structure=structure, recorded=seen)
    assert width(latency_of(known, candidate(15_000))) < width(alone)


def test_what_to_time_tells_of_each_runtime_and_of_each_structure_once(structure):
    known = estimates(structure)
    asked = [candidate(64), candidate(64, "tflite"), candidate(60_000), candidate(64, seed=1)]
    places = known.to_measure(asked)
    assert sorted(places) == [0, 1, 2]  # the last one costs what the first does
    assert known.to_measure([]) == []


def test_what_is_not_known_of_the_device_is_alike_for_all_of_its_models(structure):
    """Their ranges overlap; which of them is faster is known all the same."""
    known = DeviceEstimates(
        profile=BOARD, threads=1, batch=1, structure=structure, backends=("ort", "tflite")
    )
    large, small = (latency_of(known, candidate(width)) for width in (60_000, 6_000))
    again = latency_of(known, candidate(60_000))
    assert small.high > large.low
    assert better(small, large, False)
    assert not better(large, small, False)
    assert not better(again, large, False)
    low, high = np.quantile(cases_of(large), [0.05, 0.95])
    assert (low, high) == pytest.approx(large.ends, rel=0.3)
    ratio = ratio_of_estimates(large, small)
    assert 1 < ratio.low < ratio.value < ratio.high
    assert ratio.high / ratio.low < (large.high / large.low)


def cases_of(quantity):
    return np.frombuffer(b64decode(quantity.by_sample.data), "<f4")


def test_layers_that_stay_in_float_leave_a_latency_between_both(structure):
    known, wanted = estimates(structure), candidate(60_000, precision=Precision.INT8)
    whole, mixed = (known.of(wanted, in_float=share)["latency_ms"] for share in (0.0, 0.5))
    in_float = latency_of(known, candidate(60_000))
    assert whole.value < mixed.value < in_float.value
    assert mixed.low <= whole.low
    assert mixed.high >= in_float.high


def test_memory_is_told_where_the_runtime_is_known_and_energy_where_the_power_is(structure):
    other = BOARD.model_copy(update={"name": "other"})
    power = BOARD.model_copy(update={"power_w": Figure(value=10.0, source="made up")})
    seen = [
        (candidate(w), other, 1, {"latency_ms": w / 1e4, "memory_bytes": 3e7 + 600 * w}) for w in (500, 5000)
    ]
    assert set(estimates(structure).of(candidate(900))) == {"latency_ms"}
    known = DeviceEstimates(profile=power, threads=1, batch=1, structure=structure, recorded=seen)
    told = known.of(candidate(900))
    assert set(told) == {"latency_ms", "memory_bytes", "energy_mj"}
    assert all(quantity.is_estimate for quantity in told.values())
    assert told["memory_bytes"].low < 3.1e7 < told["memory_bytes"].high
    assert told["energy_mj"].high > 9 * told["latency_ms"].value
    assert "memory_bytes" not in known.of(candidate(900, "tflite"))


def test_what_was_read_off_a_meter_by_hand_counts(structure):
    one = timed(candidate(512), 7.0)
    brought = replace(one, metrics={**one.metrics, "energy_mj": 14.0, "memory_bytes": 5e7})
    told = estimates(structure, brought).of(candidate(512))
    assert (told["energy_mj"].value, told["memory_bytes"].value) == (14.0, 5e7)
    assert all(quantity.is_estimate for quantity in told.values())
    assert "energy_mj" in estimates(structure, brought).of(candidate(4000))


def test_nothing_is_ever_measured_in_its_place():
    stages = AbsentStages.__new__(AbsentStages)
    for ask in (
        lambda: stages.measured(None, "ort"),
        lambda: stages.interleaved({}, None),
        lambda: stages.reference,
    ):
        with pytest.raises(InternalError):
            ask()
    assert stages.timing is None
    assert stages.spread is None
