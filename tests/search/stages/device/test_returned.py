"""What an artifact returns is checked against its float model: rows, shape, kind of numbers, finite."""

import numpy as np
import pytest
from paretune.profiles.errors import StageError
from paretune.search.stages.device.returned import returned
from paretune.search.workload.outputs import OutputChoice

FLOAT = {"scores": np.zeros((2, 3), np.float32), "loss": np.zeros((2,), np.float32)}
CHOICE = OutputChoice(names=("scores", "loss"), primary="scores", scored=("scores",)).laid_out(FLOAT)
RIGHT = np.ones((4, 3), np.float32)


def given(scores, loss=None):
    return {"scores": scores, "loss": np.zeros(4, np.float32) if loss is None else loss}


@pytest.mark.parametrize(
    ("scores", "cause"),
    [
        (np.ones((8, 3), np.float32), "8 rows for 4 samples"),
        (np.ones((2, 3), np.float32), "2 rows for 4 samples"),
        (np.float32(1), "no row for 4 samples"),
        (np.ones((4, 2), np.float32), r"float\[2\].*float\[3\]"),
        (np.ones((4, 3, 1), np.float32), r"float\[3, 1\].*float\[3\]"),
        (np.ones((4, 3), np.int64), r"integer\[3\].*float\[3\]"),
        (np.where(np.eye(4, 3), np.nan, RIGHT), "not finite.* 3 of 4 samples"),
        (np.where(np.eye(4, 3), -np.inf, RIGHT), "not finite"),
    ],
)
def test_what_is_wrong_is_named(scores, cause):
    with pytest.raises(StageError, match=cause) as caught:
        returned(given(np.asarray(scores)), CHOICE, 4, "score")
    assert caught.value.stage == "score"


@pytest.mark.parametrize("width", [np.float16, np.float32, np.float64])
def test_the_width_of_floats_is_free_and_what_is_not_meant_too(width):
    outputs = given(RIGHT.astype(width), loss=np.full(1, np.nan))
    assert list(returned(outputs, CHOICE, 4, "score")) == ["scores", "loss"]


def test_where_the_artifact_is_but_a_place_to_climb_from_it_may_give_nan():
    broken = np.full((4, 3), np.nan, np.float32)
    assert returned(given(broken), CHOICE, 4, "score", finite=False)["scores"] is broken


def test_a_missing_output_is_named():
    with pytest.raises(StageError, match="no output 'loss', but scores"):
        returned({"scores": RIGHT}, CHOICE, 4, "score")
