"""What a runner tells is taken in only where it is what it should be: numbers are numbers."""

from math import inf, nan
from pathlib import Path

import pytest
from paretune.backends.runner import replies
from paretune.backends.runner.child import died_from_outside
from paretune.profiles.errors import StageError

ARTIFACT = {
    "path": "/x", "backend": "own", "precision": "int8", "size_bytes": 100, "weight_bytes": {"int8": 60},
    "notes": [], "versions": {}, "stored_as": {}, "zero_share": 0.5,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("size_bytes", value) for value in (nan, inf, 0, -5, 7.5, "many", None, True)],
        *[("weight_bytes", {"int8": value}) for value in (nan, -1, 0.5)],
        *[("zero_share", value) for value in (nan, -0.1, 1.5)],
    ],
)
def test_a_figure_of_an_artifact_that_is_none_fails_the_stage_by_its_name(name, value):
    with pytest.raises(StageError) as caught:
        replies.artifact({**ARTIFACT, name: value}, Path("/x"))
    assert caught.value.stage == "compile"
    assert name in caught.value.cause


def test_figures_that_are_right_pass():
    found = replies.artifact({**ARTIFACT, "size_bytes": 100.0, "zero_share": None}, Path("/y"))
    assert (found.path, found.size_bytes, found.weight_bytes) == (Path("/y"), 100, {"int8": 60})
    assert found.zero_share is None


@pytest.mark.parametrize("samples", [[5, nan], [5, -1], [0, 0], [5], [5, 6, 7], ["5", 6]])
def test_durations_that_are_none(samples):
    with pytest.raises(StageError):
        replies.nanoseconds(samples, 2)
    assert replies.nanoseconds([5, 0], 2) == [5, 0]


@pytest.mark.parametrize(
    ("status", "log", "outside"),
    [
        (255, "Connection to board closed by remote host.", True),
        (255, "Fatal Python error: Segmentation fault", False),
        (137, "", True),
        (1, "", False),
        (9, "", False),
        (None, "", False),
    ],
)
def test_behind_ssh_the_status_tells_who_ended_it(status, log, outside):
    assert died_from_outside(status, log, remote=True, limited=False) is outside


@pytest.mark.parametrize("limited", [True, False])
def test_want_of_memory_is_from_outside_where_nobody_had_limited_it(limited):
    found = died_from_outside(-6, "terminate called: std::bad_alloc", remote=False, limited=limited)
    assert found is not limited
