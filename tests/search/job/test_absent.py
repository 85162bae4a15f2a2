"""Who may have a device estimated, and what is left of a space without it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from paretune.backends.runner.client import Guard
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.devices.reach import LocalReach, SshReach
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune.search.job.absent import Estimating, check_absent, described, possible_here, stand_in
from paretune.search.job.reached import reach
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.estimated import Brought
from paretune.search.space.space import BackendChoices, Space

PI = load_profile("raspberry-pi-5")


def space(*names: str) -> Space:
    offered = [
        BackendChoices(name=name, precisions=(Precision.FP32,), calibration_methods=(), sparsities=("dense",))
        for name in names
    ]
    return Space(
        backends=tuple(offered),
        student_axes={},
        temperatures=(4.0,),
        weights=(0.7,),
        calibration_samples=(16,),
        per_channel=(True,),
        recipe=Recipe(epochs=1),
    )


@pytest.mark.parametrize("there", [LocalReach(), SshReach(host="pi")])
def test_a_device_that_can_be_reached_is_measured(there):
    with pytest.raises(UserError, match="measured, not estimated") as caught:
        check_absent(PI.model_copy(update={"reach": there}))
    assert caught.value.place == "--estimate"
    check_absent(PI)


def test_one_that_cannot_is_refused_with_the_way_out():
    with pytest.raises(UserError) as caught:
        reach(PI, Guard(compile_s=1, open_s=1, run_s=1))
    assert "--estimate" in caught.value.remedy


def test_what_needs_the_device_is_left_out_with_its_reason():
    left = possible_here(space("ort", "trt", "tvm"), PI)
    assert [one.name for one in left.backends] == ["ort"]
    assert {one.backend for one in left.masked} == {"trt", "tvm"}
    with pytest.raises(UserError, match="no backend is left"):
        possible_here(space("trt"), PI)


def test_this_machine_stands_in_and_says_so():
    found = stand_in(PI)
    assert found.launch.shares_files
    assert any(PI.name in remark for remark in found.remarks)
    assert described(PI)["cores"] == 4


def test_other_timings_are_other_ground_to_rest_on():
    candidate = Candidate(backend="ort", precision=Precision.FP32)
    one = Brought(candidate=candidate, artifact="a" * 64, metrics={"latency_ms": 1.0})
    digests = {
        Estimating().digest,
        Estimating(brought=(one,)).digest,
        Estimating(brought=(replace(one, metrics={"latency_ms": 2.0}),)).digest,
    }
    assert len(digests) == 3
    assert Estimating(brought=(replace(one, source="other.csv", trial=3),)).digest in digests
